//! Our `.proto` files against the published ones: every message, field, type, enum value and method of ours is theirs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

/// What can go over the wire, by its full name: `message.field` → number and type, `enum.VALUE` → number, and
/// `service.Method` → input and output.
fn wire_facts(set: &FileDescriptorSet) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for file in &set.file {
        let package = file.package();
        for message in &file.message_type {
            message_facts(package, message, &mut facts);
        }
        for declared in &file.enum_type {
            enum_facts(package, declared, &mut facts);
        }
        for service in &file.service {
            for method in &service.method {
                let shape = (method.input_type(), method.client_streaming(), method.output_type());
                let name = format!("{package}.{}.{}", service.name(), method.name());
                facts.insert(name, format!("{shape:?} {}", method.server_streaming()));
            }
        }
    }
    facts
}

fn message_facts(parent: &str, message: &DescriptorProto, facts: &mut BTreeMap<String, String>) {
    let name = format!("{parent}.{}", message.name());
    facts.insert(name.clone(), "message".to_owned());
    for field in &message.field {
        let shape = (field.number(), field.r#type(), field.label(), field.type_name(), field.proto3_optional());
        facts.insert(format!("{name}.{}", field.name()), format!("{shape:?}"));
    }
    for nested in &message.nested_type {
        message_facts(&name, nested, facts);
    }
    for declared in &message.enum_type {
        enum_facts(&name, declared, facts);
    }
}

fn enum_facts(parent: &str, declared: &EnumDescriptorProto, facts: &mut BTreeMap<String, String>) {
    for value in &declared.value {
        facts.insert(format!("{parent}.{}.{}", declared.name(), value.name()), value.number().to_string());
    }
}

#[test]
fn every_message_field_and_method_of_ours_is_talos_own() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = here.join("../../../shared/reference");
    if !reference.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs {}", reference.display());
        println!("needs {}, which is not here", reference.display());
        return;
    }
    let ours = wire_facts(
        &protox::compile(["machine.proto", "cosi.proto", "runtime.proto", "extensions.proto"], [here.join("proto")])
            .unwrap(),
    );
    let api = reference.join("talos/v1.13.9/api");
    let roots: [PathBuf; 3] = [api.clone(), api.join("vendor"), reference.join("cosi")];
    let files = [
        "machine/machine.proto",
        "machine/image.proto",
        "machine/lifecycle.proto",
        "resource/definitions/runtime/runtime.proto",
        "resource/definitions/extensions/extensions.proto",
        "v1alpha1/state.proto",
    ];
    let theirs = wire_facts(&protox::compile(files, roots).unwrap());

    assert!(ours.len() > 50, "found only {} facts", ours.len());
    let wrong: Vec<_> = ours
        .iter()
        .filter(|(name, shape)| theirs.get(*name) != Some(shape))
        .map(|(name, shape)| format!("{name}: ours {shape}, theirs {:?}", theirs.get(name)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
