//! JSON as template values that print as Python prints its dicts and lists.
//!
//! The engine prints its own lists and maps in Rust's way; where a template
//! joins or concatenates a value, no formatter is asked. So data from outside
//! comes in containers that know how to print themselves.

use super::clock::Clock;
use super::repr;
use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectExt, ObjectRepr, Value};
use minijinja::{Error, ErrorKind};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::sync::Arc;

/// A render's variables: the members of a JSON object, and the clock.
pub fn from_json(text: &str, clock: Clock) -> Result<Value, Error> {
    let Json(value) = serde_json::from_str(text)
        .map_err(|e| Error::new(ErrorKind::BadSerialization, format!("the variables are not JSON: {e}")))?;
    let Some(variables) = value.downcast_object::<Dict>() else {
        return Err(Error::new(ErrorKind::BadSerialization, "the variables are not a JSON object"));
    };
    let mut variables = variables.as_ref().clone();
    clock.hide_in(&mut variables.0);
    Ok(Value::from_object(variables))
}

/// A JSON object, in its order.
#[derive(Clone, Debug)]
pub struct Dict(IndexMap<Arc<str>, Value>);

impl Object for Dict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|dict| Box::new(dict.0.keys().map(|key| Value::from(key.clone()))))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr::repr(&Value::from_dyn_object(self.clone()))?)
    }
}

/// A JSON array.
#[derive(Debug)]
pub struct List(Vec<Value>);

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr::repr(&Value::from_dyn_object(self.clone()))?)
    }
}

/// Any JSON, read into a value.
struct Json(Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(JsonVisitor).map(Json)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::from(()))
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = vec![];
        while let Some(Json(value)) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::from_object(List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut dict = IndexMap::new();
        while let Some((key, Json(value))) = map.next_entry::<String, _>()? {
            dict.insert(Arc::from(key), value);
        }
        Ok(Value::from_object(Dict(dict)))
    }
}
