//! Talos' API over real sockets: TLS, roles, routing and the numbered behaviours that a client can see. The machines
//! are those of the model, but in [`members`].

mod authentication;
mod calls;
mod lab;
mod members;
mod protos;
mod streams;
