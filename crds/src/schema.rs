//! Makes derived schemas say what an API server understands.
//!
//! The derive speaks of Rust: integer formats that Kubernetes doesn't know (kubectl warns of each), and `nullable` for each
//! `Option`, although absence is the only way to leave a field out. It adds no rule and loosens none.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

/// The definition with every schema in it made plain.
pub(crate) fn plain(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            simplify(schema);
        }
    }
    crd
}

fn simplify(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema.format.as_deref().is_some_and(|format| format.starts_with("uint")) {
        schema.format = None;
    }
    // Descriptions wrap where the source does.
    schema.description = schema.description.take().map(|text| text.replace('\n', " "));
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        simplify(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => simplify(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(simplify),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut schema.additional_properties {
        simplify(value);
    }
}
