"""Room: LLaMA experts per region and shard, slice by slice, merged and exported."""
