from confluent_kafka import Producer

from entityflow.admin import Admin
from entityflow.trim import trim


def test_only_what_every_group_has_committed_is_deleted(settings):
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    for partition in (0, 1):
        for _ in range(5):
            producer.produce(settings.topic_name("image"), b"picture", partition=partition)
    producer.flush(10)
    admin = Admin(settings)
    admin.commit("filter", "image", {0: 3})

    deleted = trim(settings)

    assert deleted == 3
    assert admin.starts([("image", 0), ("image", 1)]) == {("image", 0): 3, ("image", 1): 0}
    assert trim(settings) == 0
