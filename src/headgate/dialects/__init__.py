"""One file holds all that headgate knows of one wire API; a language has no address and no price.

    base.py                 Dialect, Ask, Operation, Meter, Tally: what a dialect file fills in
    reading.py              counts and snapshots: how usage on the wire is kept and read, for all dialects
    asking.py               how a request body is read, for all dialects
    attachments.py          what of a prompt is no text: pictures and files, in all dialects' shapes
    bound.py                worst_case: the most tokens that an ask may use
    conversation.py         Conversation, Turn: what a dialect fills in that is spoken over WebSockets too
    registry.py             which dialect and operation a method and path mean
    openai_wire.py          what OpenAI's APIs share: error objects, usage arithmetic, cost
    openai_choices.py       what chat and completions share: choices, and the usage frame
    openai_chat.py          POST /chat/completions, and every service compatible with it
    openai_completions.py   POST /completions (legacy)
    azure_deployments.py    the same and embeddings, below Azure's /openai/deployments/{model}
    openai_embeddings.py    POST /embeddings
    openai_responses.py     /responses
    openai_responses_socket.py  the same over a WebSocket
    openai_realtime.py      /realtime: speech over a WebSocket
    openai_media.py         what audio and images share: forms, bodies without usage, usage by modality
    openai_audio.py         /audio/transcriptions, translations and speech
    openai_images.py        /images/generations, edits and variations
    openai_files.py         files, uploads, moderations: passed on, free
    openai_batches.py       /batches, and the content of files, among them the batches' results
    anthropic_batches.py    /messages/batches
    batch_results.py        how batches are read, whoever runs them: billed by their results, once
    rerank.py               POST /rerank, as many services have it
    cohere.py               Cohere's own chat, embed, rerank and classify, v2 and v1
    ollama.py               Ollama's own /api/chat, generate and embed
    units.py                billing units that are no tokens
    multipart.py            the few fields that are read out of a form
    json_lines.py           which bodies are JSON lines
    anthropic_wire.py       what carries Anthropic's messages reads: usage, events, whole answers
    anthropic_usage.py      what the usage of those says
    anthropic_messages.py   POST /messages
    google_wire.py          what Google's APIs share: Gemini's usage, framings, errors
    google_generate.py      generateContent and its like at AI Studio's paths
    google_interactions.py  the interactions API
    vertex_generate.py      generateContent at Vertex AI's paths
    vertex_messages.py      Anthropic's messages at Vertex AI's paths
    bedrock_wire.py         what AWS Bedrock's APIs share: Converse's events, counts, errors
    bedrock_converse.py     /model/{model}/converse, converse-stream and count-tokens
    bedrock_invoke.py       /model/{model}/invoke and invoke-with-response-stream: every model's native bodies

Adding a dialect is one file here plus its test: the registry finds the file by its `DIALECT`.
"""
