//! What Python's jinja2 gives as a generator: the results of `map`, `select` and
//! their like. It is true even when empty, and is no JSON.

use minijinja::filters;
use minijinja::value::{Enumerator, Object, ObjectExt, ObjectRepr, Rest, Value};
use minijinja::{Environment, Error, State};
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Debug)]
struct Generator(Vec<Value>);

impl Object for Generator {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|generator| Box::new(generator.0.iter().cloned()))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

pub fn is_generator(value: &Value) -> bool {
    value.downcast_object_ref::<Generator>().is_some()
}

fn generator(items: Vec<Value>) -> Value {
    Value::from_object(Generator(items))
}

pub fn add_filters(env: &mut Environment) {
    env.add_filter("map", |state: &State, value: Value, args: Rest<Value>| {
        filters::map(state, value, args).map(generator)
    });
    type Test<'a> = Option<Cow<'a, str>>;
    env.add_filter("select", |state: &State, value: Value, test: Test, args: Rest<Value>| {
        filters::select(state, value, test, args).map(generator)
    });
    env.add_filter("reject", |state: &State, value: Value, test: Test, args: Rest<Value>| {
        filters::reject(state, value, test, args).map(generator)
    });
    let by = filters::selectattr;
    env.add_filter(
        "selectattr",
        move |state: &State, value: Value, attr: Cow<'_, str>, test: Test, args: Rest<Value>| -> Result<Value, Error> {
            by(state, value, attr, test, args).map(generator)
        },
    );
    env.add_filter(
        "rejectattr",
        |state: &State, value: Value, attr: Cow<'_, str>, test: Test, args: Rest<Value>| -> Result<Value, Error> {
            filters::rejectattr(state, value, attr, test, args).map(generator)
        },
    );
}

#[cfg(test)]
mod tests {
    use crate::template::builtins::environment;
    use minijinja::context;

    #[test]
    fn generators_are_true_and_iterate_and_are_no_json() {
        let render = |source: &str| environment().render_str(source, context! { l => vec![1, 2, 3] });
        for (source, want) in [
            ("{{ l|select('odd')|list }}", "[1, 3]"),
            ("{{ l|reject('odd')|join(',') }}", "2"),
            ("{{ 'yes' if l|select('>', 5) else 'no' }}", "yes"),
            ("{{ 'yes' if l|select('>', 5)|list else 'no' }}", "no"),
            ("{{ [{'a': 1}, {'a': 2}]|map(attribute='a')|list }}", "[1, 2]"),
            ("{{ [{'a': 1}, {'a': 2}]|selectattr('a', 'equalto', 2)|map(attribute='a')|first }}", "2"),
            ("{% for x in [{'a': 1}, {}]|rejectattr('a') %}{{ x }}{% endfor %}", "{}"),
        ] {
            assert_eq!(render(source).unwrap(), want, "{source}");
        }
        assert!(render("{{ l|map('string')|tojson }}").is_err());
    }
}
