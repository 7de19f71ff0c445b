"""Room: sentences for reasons and messages in every supported language."""
