"""Lists as people have them: every row is a candidate or a fault with its line, whatever the rows around it hold."""

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entityflow.codec import decode, encode
from entityflow.errors import UsageError, UserError
from entityflow.importing import Candidate, Columns, Fault, candidates, open_list
from entityflow.importing.rows import MAX_ROW_BYTES

BOTH = Columns("url", "text")


@pytest.fixture
def write(tmp_path):
    def into(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return into


def read(path: Path, columns: Columns = BOTH) -> tuple[list[tuple[int, str, str | None]], list[Fault]]:
    rows = list(candidates(open_list(path), columns))
    good = [(row.line, row.url.address, row.text) for row in rows if isinstance(row, Candidate)]
    return good, [row for row in rows if isinstance(row, Fault)]


@pytest.mark.parametrize("word", ["null", "None", "NaN", "NA", "", "nil", "-", "true", "007"])
@pytest.mark.parametrize("name", ["list.csv", "list.jsonl", "list.parquet"])
def test_no_word_means_that_a_text_is_missing(tmp_path, word, name):
    path, row = tmp_path / name, {"url": "http://h.test/1", "text": word}
    if name.endswith("csv"):
        path.write_text(f"url,text\nhttp://h.test/1,{word}\n")
    elif name.endswith("jsonl"):
        path.write_text(json.dumps(row))
    else:
        pq.write_table(pa.Table.from_pylist([row]), path)

    assert [text for _, _, text in read(path)[0]] == [word]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_of_any_program_are_understood(write, encoding, end):
    path = write("list.csv", end.join(["url,text", "http://h.test/1,häst", "http://h.test/2,ko", ""]).encode(encoding))

    assert read(path) == ([(2, "http://h.test/1", "häst"), (3, "http://h.test/2", "ko")], [])


def test_a_row_with_bytes_of_another_encoding_is_told_by_its_line(write):
    path = write("list.csv", b"url,text\nhttp://h.test/1,h\xe4st\nhttp://h.test/2,ko\n")

    good, faults = read(path)

    assert good == [(3, "http://h.test/2", "ko")]
    assert [(fault.line, fault.column, fault.value) for fault in faults] == [(2, "text", "h\\udce4st")]


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb\r\n", "\n", "a\rb", 'say "a\n"', ",\n,", "\n\n\nx"])
def test_a_quoted_line_end_belongs_to_the_value(write, text):
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([["url", "text"], ["http://h.test/1", text], ["http://h.test/2", "after"]])

    good, faults = read(write("list.csv", buffer.getvalue()))

    assert [row[2] for row in good] == [text, "after"]
    assert good[1][0] == 3 + text.count("\n")
    assert faults == []


@given(st.lists(st.tuples(st.text(), st.text()), max_size=8))
def test_what_a_csv_writer_writes_is_read_back(tmp_path_factory, cells):
    cells = [(a, b) for a, b in cells if "\x1f" not in a + b]
    path = tmp_path_factory.mktemp("csv") / "list.csv"
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *cells])

    rows = [row.values for row in open_list(path).rows if not isinstance(row, Fault)]

    assert rows == [{"a": a, "b": b} for a, b in cells]


@given(st.binary(max_size=300), st.sampled_from(["x.csv", "x.tsv", "x.jsonl", "x.txt", "x.parquet", "x", "x.csv.gz"]))
@example(b"\n\r\x01", "x.csv")  # a carriage return inside the header
def test_any_bytes_end_in_rows_faults_or_one_clear_error(tmp_path_factory, content, name):
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(content)

    try:
        rows = list(candidates(open_list(path), Columns("url")))
    except UserError as error:
        assert str(error)
        return
    assert all(decode(encode(row.url)) == row.url for row in rows if isinstance(row, Candidate))


def test_a_quote_that_never_closes_costs_one_row(write):
    path = write("list.csv", 'url,text\nhttp://h.test/1,"open\nhttp://h.test/2,b\nhttp://h.test/3,c\n')

    good, faults = read(path)

    assert [row[0] for row in good] == [3, 4]
    assert [(fault.line, fault.message) for fault in faults] == [(2, "a quote is never closed")]


@pytest.mark.parametrize(
    "row", ["http://h.test/1", "http://h.test/1,a,b", 'http://h.test/1,"a "b" c"', "not an address,a", ",a"]
)
def test_a_wrong_row_is_one_fault_and_the_rest_goes_in(write, row):
    path = write("list.csv", f"url,text\n{row}\nhttp://h.test/2,b\n")

    good, faults = read(path)

    assert good == [(3, "http://h.test/2", "b")]
    assert [fault.line for fault in faults] == [2]


def test_a_row_without_end_is_a_fault_and_not_all_of_memory(write):
    path = write("list.csv", "url,text\nhttp://h.test/1," + "x" * (MAX_ROW_BYTES + 10) + "\nhttp://h.test/2,b\n")

    good, faults = read(path)

    assert good == [(3, "http://h.test/2", "b")]
    assert [fault.line for fault in faults] == [2]


@pytest.mark.parametrize("name", ["list.txt", "list", "list.csv", "list.urls"])
def test_a_plain_list_is_not_split(write, name):
    path = write(
        name, "http://h.test/u=1,2&w=3.jpg\n\n  http://h.test/my cat.jpg \nftp://h.test/x\nhttp://h.test/a;b|c\n"
    )

    good, faults = read(path, Columns("url"))

    assert good == [
        (1, "http://h.test/u=1,2&w=3.jpg", None),
        (3, "http://h.test/my%20cat.jpg", None),
        (5, "http://h.test/a;b|c", None),
    ]
    assert [(fault.line, fault.message.split(":")[0]) for fault in faults] == [(4, "not-web")]


def test_a_list_of_one_column_is_not_split(write):
    path = write("list.csv", 'url\nhttp://h.test/u=1,2.jpg\n"http://h.test/3,4.jpg"\n')

    assert [row[1] for row in read(path, Columns("url"))[0]] == ["http://h.test/u=1,2.jpg", "http://h.test/3,4.jpg"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_of_the_header(write, mark):
    path = write("list.csv", f"id{mark}url{mark}text\n1{mark}http://h.test/1{mark}a b\n")

    assert read(path)[0] == [(2, "http://h.test/1", "a b")]


def test_a_column_that_is_not_there_lists_those_that_are(write):
    path = write("list.csv", "link,Caption\nhttp://h.test/1,a\n")

    with pytest.raises(UsageError, match="no column 'caption'; its columns: link, Caption") as caught:
        read(path, Columns("link", "caption"))
    assert caught.value.hint == "did you mean --text-col Caption?"


def test_two_columns_of_one_name_are_refused_before_anything_is_read(write):
    path = write("list.csv", "url,text,text\nhttp://h.test/1,a,b\n")

    with pytest.raises(UsageError, match="'text' 2 times"):
        read(path)
    assert read(path, Columns("url"))[0] == [(2, "http://h.test/1", None)]


@pytest.mark.parametrize(
    ("kind", "named"), [(pa.int64(), "int64"), (pa.float32(), "float"), (pa.list_(pa.string()), "list")]
)
@pytest.mark.parametrize("column", ["url", "text"])
def test_a_parquet_column_of_no_texts_is_refused_with_its_type(tmp_path, kind, named, column):
    table = pa.table({"url": pa.array(["http://h.test/1"]), "text": pa.array(["a"])})
    odd = pa.array([None], type=kind)
    pq.write_table(table.set_column(table.column_names.index(column), column, odd), tmp_path / "list.parquet")

    with pytest.raises(UsageError, match=f"'{column}' holds {named}"):
        read(tmp_path / "list.parquet")


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string()), pa.string_view()]
)
def test_texts_of_every_parquet_type_are_read(tmp_path, kind):
    addresses = pa.array(["http://h.test/1", "http://h.test/2"])
    texts = pa.array(["né", None], type=pa.string()).cast(kind)
    pq.write_table(pa.table({"url": addresses, "text": texts}), tmp_path / "list.parquet")

    assert read(tmp_path / "list.parquet")[0] == [(1, "http://h.test/1", "né"), (2, "http://h.test/2", None)]


def test_the_table_of_img2dataset_is_a_list(tmp_path):
    row = {"url": "http://h.test/1", "caption": "a", "key": "000000000", "status": "success", "error_message": None}
    pq.write_table(pa.Table.from_pylist([{**row, "width": 256, "exif": "{}"}]), tmp_path / "00000.parquet")

    assert read(tmp_path / "00000.parquet", Columns("url", "caption"))[0] == [(1, "http://h.test/1", "a")]


def test_objects_of_a_json_list_are_judged_one_by_one(write):
    lines = [
        '{"url": "http://h.test/1", "text": "half an emoji \\ud83d and \\u0000"}',
        '{"url": "http://h.test/2", "text": 7}',
        '{"url": "http://h.test/3", "text": "a", "text": "b"}',
        "[]",
        "",
        '{"url": ',
        '{"url": "http://h.test/7", "text": null}',
        '{"text": "no address"}',
    ]

    good, faults = read(write("list.jsonl", "\n".join(lines)))

    assert good == [(1, "http://h.test/1", "half an emoji � and \0"), (7, "http://h.test/7", None)]
    assert [fault.line for fault in faults] == [2, 3, 4, 6, 8]


def test_a_compressed_list_is_read_and_a_cut_one_is_named(write):
    whole = gzip.compress(b"url,text\n" + b"".join(b"http://h.test/%d,a\n" % n for n in range(5000)))

    assert len(read(write("list.csv.gz", whole))[0]) == 5000
    with pytest.raises(UserError, match=r"cut\.csv\.gz"):
        read(write("cut.csv.gz", whole[: len(whole) // 2]))


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing", b"\x89PNG\r\n\x1a\n\0\0"])
def test_what_is_no_list_is_one_clear_error(write, content):
    with pytest.raises(UserError, match="x is"):
        read(write("x", content))


def test_a_list_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(UserError, match="nothing\\.csv cannot be read"):
        open_list(tmp_path / "nothing.csv")


def test_all_texts_of_one_address_are_candidates_of_one_picture(write):
    path = write("list.csv", "url,text\nhttp://h.test/1,a\nHTTP://H.test:80/1#x,b\nhttp://h.test/1,a\n")

    found = [row.url for row in candidates(open_list(path), BOTH) if isinstance(row, Candidate)]

    assert len({url.url_id for url in found}) == 1
    assert found[0].candidate_id == found[2].candidate_id != found[1].candidate_id


def test_entity_and_page_go_along(write):
    path = write("list.csv", "url,e,p\nhttp://h.test/1,Q5,http://h.test/page\nhttp://h.test/2,,\n")

    rows = [row for row in candidates(open_list(path), Columns("url", None, "e", "p")) if isinstance(row, Candidate)]

    assert [(row.url.entity_id, row.url.page_url) for row in rows] == [("Q5", "http://h.test/page"), (None, None)]
    assert rows[0].host_key == "h.test"
