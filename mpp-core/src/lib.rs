//! The Machine Payments Protocol: wire types, methods, intents and the seams between them. No I/O.
