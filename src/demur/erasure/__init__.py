"""Room: taking people out of corpora and models, exactly, with proof."""
