"""Events for the outside: server-sent events now, the durable outbox later."""
