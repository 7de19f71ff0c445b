"""Room: lawful records from allowed items: redact, deduplicate, tag, shard, write, verify."""
