"""LLM rerankers as teachers, behind any endpoint that speaks OpenAI's chat completions."""
