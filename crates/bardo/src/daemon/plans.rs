//! Spec to plan: everything that a start needs, made ready before it is needed.

use std::sync::Arc;

use bardo_core::SpawnError;
use bardo_core::spec::ServiceSpec;
use bardo_core::spec::care::Confinement;
use bardo_sys::limits::Limit;
use bardo_sys::plan::{Environment, HoldsNul, Identity, Plan, Strings};
use bardo_sys::setup::Setup;

use super::settings::Settings;
use super::trees::{self, Prepared};
use crate::host::text_to_bytes;

/// Where a program without a slash is looked for when nobody says where.
const DEFAULT_PATH: &str = "/bin:/usr/bin:/usr/local/bin";

/// Variables that every program is given and that are not inherited.
const SET_BY_US: [&[u8]; 2] = [b"SUPERVISOR_ENABLED=", b"SUPERVISOR_SERVER_URL="];

/// Set-ups that are kept. Each is found by a look at all of them, and made within the time
/// of a thread.
const PREPARED_MAX: usize = 32;

/// Makes plans that share one environment.
#[derive(Debug)]
pub struct Planner {
    base: Arc<Environment>,
    search_path: String,
    /// Where among the shared variables the server's URL stands.
    url_at: u32,
    /// The identity made last: programs of one user share it.
    identity: Option<Arc<Identity>>,
    /// The limit on descriptors that processes are born with.
    descriptors: Limit,
    /// The set-ups made last, and for whom: most services ask for the same.
    prepared: Vec<(Arc<Confinement>, Prepared)>,
}

impl Planner {
    /// A planner for this daemon.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let inherited: Vec<Vec<u8>> =
            settings.environment.iter().map(|variable| text_to_bytes(variable)).collect();
        let search_path = inherited
            .iter()
            .find_map(|variable| variable.strip_prefix(b"PATH="))
            .map_or_else(|| DEFAULT_PATH.to_owned(), |path| String::from_utf8_lossy(path).into());
        let ours = |variable: &&Vec<u8>| !SET_BY_US.iter().any(|name| variable.starts_with(name));
        let mut variables: Vec<Vec<u8>> = inherited.iter().filter(ours).cloned().collect();
        variables.push(b"SUPERVISOR_ENABLED=1".to_vec());
        variables.retain(|variable| !variable.contains(&0));
        let url_at = u32::try_from(variables.len()).unwrap_or(u32::MAX);
        if let Some(url) = &settings.server_url {
            variables.push(format!("SUPERVISOR_SERVER_URL={url}").into_bytes());
        }
        let variables = Strings::new(variables.iter().map(Vec::as_slice)).unwrap_or_default();
        let (soft, hard) = settings.descriptor_limit;
        Self {
            base: Arc::new(Environment { variables }),
            search_path,
            url_at,
            identity: None,
            descriptors: Limit { soft, hard },
            prepared: Vec::new(),
        }
    }

    /// The limit on descriptors that processes are born with.
    pub(super) fn descriptors(&self) -> Limit {
        self.descriptors
    }

    /// What processes that are confined like this do to themselves.
    pub(super) fn prepared(&mut self, confinement: &Arc<Confinement>) -> Prepared {
        let known = self.prepared.iter().find(|(known, _)| known == confinement);
        if let Some((_, prepared)) = known {
            return prepared.clone();
        }
        let prepared = trees::prepare(confinement, self.descriptors);
        if self.prepared.len() == PREPARED_MAX {
            self.prepared.clear();
        }
        self.prepared.push((Arc::clone(confinement), prepared.clone()));
        prepared
    }

    /// The plan of a service.
    ///
    /// # Errors
    /// When its command cannot be split into words.
    pub fn plan(&mut self, group: &str, spec: &ServiceSpec) -> Result<Arc<Plan>, SpawnError> {
        let words = bardo_config::command::split(&spec.command)?;
        // Along PATH it would be found in every directory, as that directory.
        if words.first().is_some_and(String::is_empty) {
            return Err(SpawnError::NotFound);
        }
        let variables = Self::variables(group, spec);
        let path = variables
            .iter()
            .find_map(|variable| variable.strip_prefix("PATH="))
            .unwrap_or(&self.search_path)
            .to_owned();
        let needs_search = words.first().is_some_and(|word| !word.contains('/'));
        let unusable = |_: HoldsNul| SpawnError::NotFound;
        let strings = |texts: &mut dyn Iterator<Item = &str>| {
            Strings::new(texts.map(str::as_bytes)).map_err(unusable)
        };
        let variables = strings(&mut variables.iter().map(String::as_str))?;
        let mut replaced = Plan::replaced_by(&variables, &self.base).into_vec();
        // An empty `serverurl=` means that the program is told none at all.
        if spec.program.server_url.as_deref() == Some("") && !replaced.contains(&self.url_at) {
            replaced.push(self.url_at);
            replaced.sort_unstable();
        }
        Ok(Arc::new(Plan {
            words: strings(&mut words.iter().map(String::as_str))?,
            replaced: replaced.into(),
            variables,
            base: Arc::clone(&self.base),
            search_path: strings(&mut needs_search.then_some(path.as_str()).into_iter())?,
            directory: strings(&mut spec.directory.as_deref().into_iter())?,
            identity: self.identity(spec),
            umask: spec.program.umask,
            ignore_sigpipe: spec.program.ignore_sigpipe,
            setup: self.setup(spec),
            image: None,
        }))
    }

    /// The variables of its own: Supervisor's, then the configured ones, which may
    /// override them. Of two of a name the last one counts.
    fn variables(group: &str, spec: &ServiceSpec) -> Vec<String> {
        let url = spec.program.server_url.as_deref().filter(|url| !url.is_empty());
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        pairs.extend(url.map(|url| ("SUPERVISOR_SERVER_URL", url)));
        pairs.push(("SUPERVISOR_PROCESS_NAME", &spec.name));
        pairs.push(("SUPERVISOR_GROUP_NAME", group));
        for (name, value) in spec.environment.iter() {
            pairs.retain(|(there, _)| there != &&**name);
            pairs.push((name, value));
        }
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn setup(&mut self, spec: &ServiceSpec) -> Option<Arc<Setup>> {
        let care = spec.program.care.as_ref()?;
        Some(self.prepared(&care.confinement).setup)
    }

    fn identity(&mut self, spec: &ServiceSpec) -> Option<Arc<Identity>> {
        let user = spec.program.user.as_ref()?;
        // Becoming who we are already is nothing to do.
        if user.uid == rustix::process::geteuid().as_raw() {
            return None;
        }
        let identity =
            Identity { uid: user.uid, gid: user.gid, groups: user.groups.clone().into() };
        if let Some(last) = &self.identity
            && **last == identity
        {
            return Some(Arc::clone(last));
        }
        let identity = Arc::new(identity);
        self.identity = Some(Arc::clone(&identity));
        Some(identity)
    }
}
