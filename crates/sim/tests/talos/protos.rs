//! Holds every message, field, enumeration and method of the simulator's own definitions against those that Talos and
//! COSI publish. Etcd's are proved by the real etcd in `e2e_kubernetes`.

use std::collections::BTreeMap;

use helix_sim::talos::wire::DESCRIPTORS;
use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};

use crate::lab::reference;

/// Everything in a set of files by its full name.
#[derive(Default)]
struct Definitions {
    messages: BTreeMap<String, DescriptorProto>,
    enums: BTreeMap<String, EnumDescriptorProto>,
    services: BTreeMap<String, ServiceDescriptorProto>,
}

impl Definitions {
    fn of(set: FileDescriptorSet, skip: &[&str]) -> Self {
        let mut all = Self::default();
        for file in set.file {
            let package = file.package().to_owned();
            if skip.iter().any(|prefix| package.starts_with(prefix)) {
                continue;
            }
            file.message_type.into_iter().for_each(|message| all.add(&package, message));
            all.enums.extend(file.enum_type.into_iter().map(|it| (format!("{package}.{}", it.name()), it)));
            all.services.extend(file.service.into_iter().map(|it| (format!("{package}.{}", it.name()), it)));
        }
        all
    }

    fn add(&mut self, scope: &str, message: DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested.clone());
        }
        self.enums.extend(message.enum_type.iter().map(|it| (format!("{name}.{}", it.name()), it.clone())));
        self.messages.insert(name, message);
    }
}

fn published(version: &str) -> Option<Definitions> {
    let root = reference()?;
    let api = root.join("talos").join(version).join("api");
    let files = [
        "machine/machine.proto",
        "machine/image.proto",
        "machine/lifecycle.proto",
        "resource/config/config.proto",
        "resource/definitions/cluster/cluster.proto",
        "resource/definitions/enums/enums.proto",
        "resource/definitions/etcd/etcd.proto",
        "resource/definitions/extensions/extensions.proto",
        "resource/definitions/runtime/runtime.proto",
    ];
    let talos = protox::compile(files, [api.clone(), api.join("vendor")]).unwrap();
    let cosi = protox::compile(["v1alpha1/state.proto"], [root.join("cosi")]).unwrap();
    let mut all = Definitions::of(talos, &[]);
    let cosi = Definitions::of(cosi, &["google"]);
    all.messages.extend(cosi.messages);
    all.enums.extend(cosi.enums);
    all.services.extend(cosi.services);
    Some(all)
}

fn check_messages(ours: &Definitions, theirs: &Definitions) {
    for (name, message) in &ours.messages {
        let published = theirs.messages.get(name).unwrap_or_else(|| panic!("there is no message {name}"));
        for field in &message.field {
            let same = published.field.iter().find(|it| it.number() == field.number());
            let same = same.unwrap_or_else(|| panic!("{name} has no field {}", field.number()));
            let shape = |it: &prost_types::FieldDescriptorProto| {
                (it.name().to_owned(), it.r#type(), it.label(), it.type_name().to_owned(), it.proto3_optional())
            };
            assert_eq!(shape(field), shape(same), "in {name}");
            assert_eq!(field.oneof_index.is_some(), same.oneof_index.is_some(), "in {name}");
        }
    }
}

fn check_enums(ours: &Definitions, theirs: &Definitions) {
    for (name, own) in &ours.enums {
        let published = theirs.enums.get(name).unwrap_or_else(|| panic!("there is no enumeration {name}"));
        for value in &own.value {
            let same = published.value.iter().find(|it| it.number() == value.number());
            assert_eq!(same.map(|it| it.name()), Some(value.name()), "in {name}");
        }
    }
}

fn check_services(ours: &Definitions, theirs: &Definitions) {
    for (name, own) in &ours.services {
        let published = theirs.services.get(name).unwrap_or_else(|| panic!("there is no service {name}"));
        for method in &own.method {
            let same = published.method.iter().find(|it| it.name() == method.name());
            let same = same.unwrap_or_else(|| panic!("{name} has no method {}", method.name()));
            let shape = |it: &prost_types::MethodDescriptorProto| {
                (it.input_type().to_owned(), it.output_type().to_owned(), it.client_streaming(), it.server_streaming())
            };
            assert_eq!(shape(method), shape(same), "in {name}");
        }
    }
}

#[test]
fn every_definition_is_as_published() {
    let ours = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let ours = Definitions::of(ours, &["google", "etcdserverpb"]);
    assert!(ours.messages.len() > 70 && ours.services.len() == 4);
    for version in ["v1.13.9", "v1.14.0-rc.1"] {
        let Some(theirs) = published(version) else { return };
        check_messages(&ours, &theirs);
        check_enums(&ours, &theirs);
        check_services(&ours, &theirs);
    }
}
