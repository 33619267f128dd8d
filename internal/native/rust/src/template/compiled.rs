//! A template, compiled once, and the limits under which it is rendered.

use super::builtins::{self, Raised};
use super::clock::Clock;
use super::{generation, loops, tags, values};
use crate::abi::{Failure, Status};
use crate::budget::{with_budget, Budget, Exhausted};
use crate::deep::on_stack;
use minijinja::{Environment, Error, ErrorKind};
use std::error::Error as _;
use std::io;
use std::time::Duration;

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
    /// Milliseconds.
    pub time: u64,
    /// Bytes of template source.
    pub source: u64,
}

/// Memory beyond the limit for each byte of the variables: they are read into
/// values, and templates put them together more than once.
const MEMORY_PER_BYTE: usize = 8;

/// Bytes of stack for each byte of memory. A list in a list takes some 70 bytes;
/// dropping or comparing that takes a few hundred of stack, at each level, and
/// those are what no allocation interrupts. Only what is used of a stack takes
/// memory.
const STACK_PER_BYTE: usize = 8;

/// What is left of the stack when the budget's part is spent, to unwind on.
const SPARE_STACK: usize = 1 << 20;

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
        let environment = bounded(limits, source, compile)?;
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
        let rendered = bounded(self.limits, context, render);
        if output.full {
            let message = format!("the template writes more than {} bytes", self.limits.output);
            return Err(Failure::over_limit(message));
        }
        rendered?;
        String::from_utf8(output.text).map_err(|e| e.to_string().into())
    }
}

/// Runs `work` on `input` under the limits, on a stack that suffices for what
/// fits the memory.
fn bounded<T: Send>(limits: Limits, input: &str, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Failure> {
    let memory = limits.memory as usize + MEMORY_PER_BYTE * input.len();
    let stack = STACK_PER_BYTE * memory;
    let budget = Budget { memory, time: Duration::from_millis(limits.time), stack };
    // The error's text is made inside as well: it may print a deep value.
    let work = || with_budget(budget, || work().map_err(failure));
    on_stack(stack + SPARE_STACK, || {
        work().unwrap_or_else(|spent| {
            Err(Failure::over_limit(match spent {
                Exhausted::Memory => format!("the template holds more than {memory} bytes of memory"),
                Exhausted::Time => format!("the template takes longer than {} ms", limits.time),
                Exhausted::Stack => "the template nests too deeply".into(),
            }))
        })
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
