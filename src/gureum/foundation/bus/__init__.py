"""Agent calls and notifications: one interface; in-process, unix-socket and AMQP transports."""
