"""The local stack: real servers on loopback, durable under one folder, each from a wheel or a verified download."""
