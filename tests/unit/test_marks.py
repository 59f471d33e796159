"""Which record is condemned after which deaths; and that what is noted is what is read."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from entityflow.stage.marks import MAX_CONDEMNED, MAX_TEXT, Mark, Watch, read_mark

UUID = "fF-Og4JqQ1Wd4Gm1mQ0Wxw"
OFFSETS = st.integers(min_value=0, max_value=2**62)
MARKS = st.builds(
    Mark,
    topic_uuid=st.just(UUID),
    running=st.booleans(),
    moved=st.booleans(),
    deaths=st.integers(0, 1000),
    alone=st.none() | OFFSETS,
    condemned=st.lists(OFFSETS, max_size=MAX_CONDEMNED).map(tuple),
)


@given(MARKS)
def test_a_mark_is_read_as_it_was_written_and_fits_beside_an_offset(mark: Mark):
    assert read_mark(mark.text()) == mark
    assert len(mark.text()) <= MAX_TEXT


@given(st.text())
def test_what_others_wrote_beside_an_offset_is_no_mark_or_one_without_suspicion(text: str):
    mark = read_mark(text)

    assert mark is None or not mark.running


def test_offsets_without_metadata_have_no_mark():
    assert read_mark(None) is None
    assert read_mark("") is None
    assert read_mark(f"{UUID} [1]") == Mark(UUID)


@dataclass
class Partition:
    """Records, some of them poison, and what becomes of them; an owner has `width` of them in flight."""

    length: int
    poison: set[int]
    width: int = 10
    committed: int = 0
    metadata: str | None = None
    letters: list[int] = field(default_factory=list)
    worked: set[int] = field(default_factory=set)

    def start(self, killed_after: int | None = None) -> bool:
        """An owner, until its end or its death; `killed_after`: from outside, after so many records. True: it lived."""
        watch = Watch(read_mark(self.metadata), UUID, self.committed, self.committed < self.length, self.width)
        self.metadata = watch.note(self.committed, moved=False)
        done = 0
        while self.committed < self.length:
            if watch.careful:
                crowd = [self.committed]
                watch.begin_alone(self.committed)
                self.metadata = watch.note(self.committed, moved=False)
            else:
                crowd = list(range(self.committed, min(self.committed + self.width, self.length)))
            for offset in crowd:
                if watch.is_condemned(offset):
                    self.letters.append(offset)
                elif offset in self.poison:
                    return False
                else:
                    self.worked.add(offset)
                done += 1
                if done == killed_after:
                    return False
            self.committed = crowd[-1] + 1
            if watch.careful:
                watch.end_alone()
            self.metadata = watch.note(self.committed, moved=True)
        self.metadata = watch.closed(self.committed)
        return True


def test_a_first_record_that_kills_is_condemned_at_the_third_start():
    partition = Partition(20, poison={0})

    assert [partition.start() for _ in range(3)] == [False, False, True]
    assert partition.letters == [0]
    assert partition.worked == set(range(1, 20))


def test_among_others_in_flight_only_the_guilty_one_is_condemned():
    partition = Partition(20, poison={5})

    assert [partition.start() for _ in range(4)] == [False, False, False, True]
    assert partition.letters == [5]
    assert partition.worked == set(range(20)) - {5}


def test_one_that_comes_after_much_that_went_well_is_condemned_too():
    partition = Partition(100, poison={57})

    assert [partition.start() for _ in range(4)] == [False, False, False, True]
    assert partition.letters == [57]


@given(st.sets(st.integers(0, 39), max_size=5), st.integers(1, 12))
def test_whatever_records_kill_they_and_no_others_become_dead_letters(poison: set[int], width: int):
    partition = Partition(40, poison, width)

    starts = 1
    while not partition.start():
        starts += 1

    assert starts <= 4 * len(poison) + 1
    assert set(partition.letters) == poison
    assert partition.worked == set(range(40)) - poison


@given(st.lists(st.integers(11, 30), max_size=20))
def test_kills_from_outside_that_leave_time_for_progress_condemn_nobody(kills: list[int]):
    partition = Partition(200, poison=set(), width=10)

    for after in kills:
        partition.start(killed_after=after)
    while not partition.start():
        pass

    assert partition.letters == []


@given(st.integers(1, 5), st.integers(1, 5))
def test_two_kills_from_outside_while_many_are_in_flight_condemn_nobody(first: int, second: int):
    partition = Partition(100, poison=set(), width=10)
    partition.start(killed_after=15)
    partition.start(killed_after=first)
    partition.start(killed_after=20)

    assert partition.start()
    assert partition.letters == []


def test_who_leaves_in_order_leaves_no_suspicion():
    watch = Watch(None, UUID, 5, True, 10)
    watch = Watch(read_mark(watch.closed(5)), UUID, 5, True, 10)

    assert (watch.deaths, watch.careful) == (0, False)


def test_a_death_where_nothing_was_waiting_proves_nothing():
    before = read_mark(Watch(None, UUID, 5, False, 10).note(5, moved=False))

    assert Watch(before, UUID, 5, True, 10).deaths == 0


def test_marks_of_a_topic_that_was_made_anew_say_nothing_about_this_one():
    before = Mark("other", running=True, deaths=5, alone=3, condemned=(3,))

    watch = Watch(before, UUID, 0, True, 10)

    assert (watch.deaths, watch.careful, watch.is_condemned(3)) == (0, False, False)
