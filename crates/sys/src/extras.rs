//! What a child is given for one life only, beside its plan: descriptors, variables and
//! a cgroup.
//!
//! One thing surprises a newcomer: a child's own number is known only when the child is
//! there, and then nothing may be allocated. So there is room for its digits in the
//! variable, and the child writes them itself.

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// A descriptor, and the number that it is to have in the child.
#[derive(Debug, Clone, Copy)]
pub struct Extra<'a> {
    /// The descriptor.
    pub file: BorrowedFd<'a>,
    /// Its number in the child: 3 or more.
    pub number: RawFd,
}

/// A variable of one life. It replaces one of the same name in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable<'a> {
    /// Of this name and value.
    Text(&'a str, &'a str),
    /// Of this name; its value is the child's own number.
    OwnPid(&'a str),
}

/// What a child is given for this life only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras<'a> {
    /// Descriptors beside 0, 1 and 2.
    pub files: &'a [Extra<'a>],
    /// Variables beside those of the plan.
    pub variables: &'a [Variable<'a>],
    /// The directory of the cgroup that it is born in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Room for the digits of any pid.
const PID_DIGITS: usize = 10;

/// The variables of one life, laid out for the kernel.
#[derive(Debug, Default)]
pub(crate) struct LifeVariables {
    block: Vec<u8>,
    /// Where the names end, and the strings begin.
    names: Vec<(usize, usize)>,
    /// Where the child writes its number.
    pids: Vec<*mut u8>,
}

impl LifeVariables {
    /// Lays them out, and adds a pointer to each to `pointers`.
    ///
    /// # Errors
    /// When one holds a NUL, or its name an equals sign or nothing.
    pub(crate) fn lay_out(
        &mut self,
        variables: &[Variable<'_>],
        pointers: &mut Vec<*const c_char>,
    ) -> io::Result<()> {
        self.block.clear();
        self.names.clear();
        self.pids.clear();
        for variable in variables {
            let (Variable::Text(name, _) | Variable::OwnPid(name)) = variable;
            let value = match variable {
                Variable::Text(_, value) => value,
                Variable::OwnPid(_) => "",
            };
            let is_unfit = name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
            if is_unfit {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let start = self.block.len();
            self.names.push((start, start + name.len()));
            for part in [name.as_bytes(), b"=", value.as_bytes()] {
                self.block.extend_from_slice(part);
            }
            if let Variable::OwnPid(_) = variable {
                self.block.extend_from_slice(&[0; PID_DIGITS]);
            }
            self.block.push(0);
        }
        // Nothing is added any more, so the block stays where it is.
        let block = self.block.as_mut_ptr();
        for (variable, (start, end)) in variables.iter().zip(&self.names) {
            pointers.push(block.wrapping_add(*start).cast::<c_char>().cast_const());
            if let Variable::OwnPid(_) = variable {
                self.pids.push(block.wrapping_add(end + 1));
            }
        }
        Ok(())
    }

    /// Whether one of them has the name of this `NAME=value`.
    pub(crate) fn replaces(&self, variable: &CStr) -> bool {
        let bytes = variable.to_bytes();
        self.names.iter().any(|(start, end)| {
            let rest = bytes.strip_prefix(&self.block[*start..*end]);
            rest.is_some_and(|rest| rest.first() == Some(&b'='))
        })
    }

    /// Writes the child's number where it belongs. Called by the child.
    pub(crate) fn write_pid(&self, pid: u32) {
        for place in &self.pids {
            let mut digits = [0; PID_DIGITS];
            let mut rest = pid;
            let mut first = PID_DIGITS;
            while rest > 0 || first == PID_DIGITS {
                first -= 1;
                digits[first] = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            let digits = &digits[first..];
            // SAFETY: there is room for the digits of any number at this place of the
            // block, which nobody else touches while the child is on its way; what
            // follows is zero.
            unsafe { std::ptr::copy_nonoverlapping(digits.as_ptr(), *place, digits.len()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_into_its_variable() {
        let mut variables = LifeVariables::default();
        let mut pointers = Vec::new();
        let given = [Variable::Text("A", "x"), Variable::OwnPid("PID"), Variable::Text("B", "")];
        variables.lay_out(&given, &mut pointers).unwrap();

        for (pid, expected) in [(u32::MAX, "PID=4294967295"), (0, "PID=0")] {
            variables
                .lay_out(&given, {
                    pointers.clear();
                    &mut pointers
                })
                .unwrap();
            variables.write_pid(pid);

            // SAFETY: each string is closed by a NUL and lives in `variables`.
            let text = |pointer: &*const c_char| unsafe { CStr::from_ptr(*pointer) };
            let texts: Vec<_> = pointers.iter().map(|it| text(it).to_str().unwrap()).collect();
            assert_eq!(texts, ["A=x", expected, "B="]);
        }
        assert!(variables.replaces(c"PID=7") && variables.replaces(c"B=y"));
        assert!(!variables.replaces(c"PIDS=7") && !variables.replaces(c"PI=7"));
    }

    #[test]
    fn what_the_kernel_cannot_be_given_is_refused() {
        let mut variables = LifeVariables::default();
        for unfit in [Variable::Text("", "x"), Variable::OwnPid("A=B"), Variable::Text("A", "\0")] {
            assert!(variables.lay_out(&[unfit], &mut Vec::new()).is_err(), "{unfit:?}");
        }
    }
}
