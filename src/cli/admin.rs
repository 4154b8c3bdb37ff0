//! The client of a running gateway's admin port: where it is, what is asked, and how refusals are told. The words of each command are in `operate`, the
//! tables in `tables`.

use crate::config::Config;
use crate::http::USER_HEADER;
use crate::http::problem::Problem;
use crate::number::HomeRegion;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Where the running gateway is asked; shared by all commands that do.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Where {
    /// The gateway's admin port; default: from --config, else 127.0.0.1:9465
    #[arg(long, value_name = "ADDRESS", env = "HONGYAN_ADMIN", global = true)]
    admin: Option<String>,
    /// File that holds the token of the admin port; default: the environment variable HONGYAN_ADMIN_TOKEN, or from --config
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The gateway's configuration, for the address and the token
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON; so does any output that is no terminal
    #[arg(long)]
    json: bool,
}

/// A way to the gateway.
pub(super) struct Client {
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
    /// Print JSON.
    pub json: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nobody is there, or not for long enough.
    Unreachable(String),
    /// The gateway's own words.
    Refused(Box<Problem>),
    /// Somebody else's.
    Odd(String),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failed::Unreachable(told) | Failed::Odd(told) => f.write_str(told),
            Failed::Refused(problem) => {
                let field = if problem.field.is_empty() { String::new() } else { format!("{}: ", problem.field) };
                let fix = if problem.fix.is_empty() { String::new() } else { format!("; {}", problem.fix) };
                write!(f, "{field}{}{fix}", problem.detail)
            }
        }
    }
}

impl Where {
    /// The client; asks nothing yet.
    pub(super) fn client(&self) -> Result<Client, String> {
        let config = self.config.as_ref().map(|file| Config::load(file).map_err(|error| error.to_string())).transpose()?;
        let admin = config.as_ref().map(|config| &config.admin);
        if self.admin.is_none() && admin.is_some_and(|admin| !admin.enabled) {
            return Err("the admin port is off in this configuration; set admin.enabled = true".to_owned());
        }
        let configured = || admin.map_or_else(|| "127.0.0.1:9465".to_owned(), |admin| admin.address.to_string());
        let address = self.admin.clone().unwrap_or_else(configured);
        let base = if address.contains("://") { address } else { format!("http://{address}") };
        let token = match &self.token_file {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            None => std::env::var("HONGYAN_ADMIN_TOKEN").ok().or_else(|| Some(admin?.token.as_ref()?.expose().to_owned())),
        };
        let json = self.json || !std::io::IsTerminal::is_terminal(&std::io::stdout());
        Ok(Client { base: base.trim_end_matches('/').to_owned(), token, agent: agent(Duration::from_secs(70)), json })
    }
}

fn agent(patience: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(patience)).build().into()
}

impl Client {
    /// The same, waiting so long at most.
    pub(super) fn patient(self, patience: Duration) -> Client {
        Client { agent: agent(patience), ..self }
    }

    /// Where it asks.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Who sits in front of it.
    fn user() -> String {
        ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok())
            .unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()))
    }

    fn dressed<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        let request = request.header(USER_HEADER, Client::user());
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn told(&self, sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<String, Failed> {
        let odd = |_| Failed::Odd(format!("{} answers what is no text", self.base));
        self.told_octets(sent).and_then(|octets| String::from_utf8(octets).map_err(odd))
    }

    fn told_octets(&self, sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Vec<u8>, Failed> {
        let unreachable = |error: ureq::Error| {
            Failed::Unreachable(format!(
                "no gateway answers at {}: {error}; start it, or name its admin port (--admin ADDRESS, HONGYAN_ADMIN, --config FILE)",
                self.base
            ))
        };
        let mut response = sent.map_err(unreachable)?;
        let status = response.status();
        let octets = response.body_mut().with_config().limit(256 << 20).read_to_vec();
        let octets = octets.map_err(|error| Failed::Unreachable(format!("{}: {error}", self.base)))?;
        if status.is_success() {
            return Ok(octets);
        }
        Err(match serde_json::from_slice::<Problem>(&octets) {
            Ok(problem) => Failed::Refused(Box::new(problem)),
            Err(_) => Failed::Odd(format!("{} answers {status}: that is no admin port of Hongyan", self.base)),
        })
    }

    fn value(text: &str) -> Result<Value, String> {
        serde_json::from_str(text).map_err(|error| format!("the answer can't be read: {error}"))
    }

    /// GET.
    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        Client::value(&self.text(path)?)
    }

    /// GET, as text.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
        self.told(self.dressed(self.agent.get(self.url(path))).call()).map_err(|failed| failed.to_string())
    }

    /// GET, as octets.
    pub(super) fn octets(&self, path: &str) -> Result<Vec<u8>, String> {
        self.told_octets(self.dressed(self.agent.get(self.url(path))).call()).map_err(|failed| failed.to_string())
    }

    /// POST.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        Client::value(&self.try_post(path, body.to_string()).map_err(|failed| failed.to_string())?)
    }

    /// POST of JSON; the answer as it came.
    pub(super) fn try_post(&self, path: &str, body: String) -> Result<String, Failed> {
        let request = self.dressed(self.agent.post(self.url(path))).header("content-type", "application/json");
        self.told(request.send(body))
    }

    /// The country of numbers that are written without one, as the gateway reads them.
    pub(super) fn home(&self) -> Result<HomeRegion, String> {
        let code = self.get("/v1/status")?["home_country_code"].as_u64().and_then(|code| u16::try_from(code).ok());
        code.and_then(HomeRegion::from_code).ok_or_else(|| "the gateway names no home region".to_owned())
    }

    /// DELETE.
    pub(super) fn delete(&self, path: &str) -> Result<Value, String> {
        Client::value(&self.told(self.dressed(self.agent.delete(self.url(path))).call()).map_err(|failed| failed.to_string())?)
    }
}
