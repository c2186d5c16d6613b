"""What the world outside is told of exchanges. Each is an Observer that is fed with every record.

    names      the names that models have in labels: bounded, whatever clients ask for
    sums       what exchanges add up to, in integers
    families   those sums, and how the gateway stands, as Prometheus' families of samples
    page       /metrics as an ASGI application: who may read it, rendered off the event loop
    lines      what the log says of an exchange, for people or as JSON
    log        the log's writer: a bounded queue and a thread
    semconv, attributes    what spans and OpenTelemetry's metrics call things, and say of an exchange
    spans, instruments     the spans and metrics themselves, with the extra `otel`
    otlp                   their way to a collector

docs/observability.md has the tables of names.
"""
