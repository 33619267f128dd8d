//! A template, compiled once, and the limits under which it is rendered.

use super::builtins::{self, Raised};
use super::clock::Clock;
use super::{generation, loops, tags, values};
use crate::abi::{Failure, Status};
use crate::deep::on_stack;
use crate::memory::{with_budget, Budget, Exhausted};
use minijinja::{Environment, Error, ErrorKind};
use std::error::Error as _;
use std::io;

/// What a template may use up. Part of the C interface.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps of the template machine in one render.
    pub steps: u64,
    /// Nested macro calls, includes and loops.
    pub depth: u64,
    /// Bytes of rendered text.
    pub output: u64,
    /// Bytes held at one time while compiling or rendering.
    pub memory: u64,
    /// Bytes allocated altogether in one render.
    pub churn: u64,
    /// Bytes of template source.
    pub source: u64,
}

/// Stack for compiling and rendering. Only what is used of it takes memory.
/// The deepest value that fits the memory limit's default must fit in here.
const STACK: usize = 512 << 20;

const NAME: &str = "template";

/// An error's text is cut here: it may quote values.
const LONGEST_MESSAGE: usize = 2000;

pub struct Template {
    environment: Environment<'static>,
    limits: Limits,
}

impl Template {
    pub fn compile(source: &str, limits: Limits) -> Result<Template, Failure> {
        if source.len() as u64 > limits.source {
            let message = format!("the template is longer than {} bytes", limits.source);
            return Err(Failure::over_limit(message));
        }
        let compile = || {
            let mut environment = builtins::environment();
            environment.set_fuel(Some(limits.steps));
            environment.set_recursion_limit(limits.depth as usize);
            let source = tags::rewrite(source, |tag| generation::renamed(tag).or_else(|| loops::checked(tag)));
            environment.add_template_owned(NAME, source.into_owned())?;
            Ok(environment)
        };
        let environment = bounded(limits, compile)?;
        Ok(Template { environment, limits })
    }

    /// Renders with the members of a JSON object as variables.
    pub fn render(&self, context: &str, clock: Clock) -> Result<String, Failure> {
        let mut output = Limited { text: Vec::new(), left: self.limits.output as usize, full: false };
        let render = || {
            let context = values::from_json(context, clock)?;
            let template = self.environment.get_template(NAME)?;
            template.render_captured_to(context, &mut output).map(drop)
        };
        let rendered = bounded(self.limits, render);
        if output.full {
            let message = format!("the template writes more than {} bytes", self.limits.output);
            return Err(Failure::over_limit(message));
        }
        rendered?;
        String::from_utf8(output.text).map_err(|e| e.to_string().into())
    }
}

/// Runs `work` under the memory limits, on a stack that they cannot fill.
fn bounded<T: Send>(limits: Limits, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Failure> {
    let budget = Budget { live: limits.memory as usize, total: limits.churn as usize };
    // The error's text is made inside as well: it may print a deep value.
    let work = || with_budget(budget, || work().map_err(failure));
    on_stack(STACK, || match work() {
        Ok(outcome) => outcome,
        Err(Exhausted::Live) => {
            Err(Failure::over_limit(format!("the template holds more than {} bytes of memory", limits.memory)))
        }
        Err(Exhausted::Total) => {
            Err(Failure::over_limit(format!("the template allocates more than {} bytes", limits.churn)))
        }
    })
}

/// The engine's error as a status and a message.
fn failure(error: Error) -> Failure {
    if let Some(Raised(message)) = error.source().and_then(|s| s.downcast_ref()) {
        return Failure { status: Status::Raised, message: shortened(message.clone()) };
    }
    let too_deep = error.detail() == Some("recursion limit exceeded");
    let status = match error.kind() {
        ErrorKind::OutOfFuel => Status::OverLimit,
        _ if too_deep => Status::OverLimit,
        _ => Status::Failed,
    };
    let message = match error.kind() {
        ErrorKind::OutOfFuel => "the template takes too many steps".to_string(),
        _ => error.to_string(),
    };
    Failure { status, message: shortened(message) }
}

fn shortened(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        message.push('…');
    }
    message
}

/// Rendered text up to a size.
struct Limited {
    text: Vec<u8>,
    left: usize,
    full: bool,
}

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.left {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.left -= bytes.len();
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
