"""Search providers as data: one YAML file each says how to ask, how to read the answer, what it costs and allows."""

from entityflow.providers.loading import provider_names, provider_table, read_provider, refused_providers
from entityflow.providers.table import Answer, FieldRule, Media, Paging, ProviderTable, Quota, Terms, Trouble

__all__ = [
    "Answer",
    "FieldRule",
    "Media",
    "Paging",
    "ProviderTable",
    "Quota",
    "Terms",
    "Trouble",
    "provider_names",
    "provider_table",
    "read_provider",
    "refused_providers",
]
