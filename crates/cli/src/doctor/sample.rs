//! A sample token: which profiles accept it, and why it is accepted or refused.

use scopegate_core::{
    Reason, Startup,
    explanation::{Explanation, Status, Step, Verdict},
    jwt::Profile,
};
use serde_json::{Value, json};

use super::{
    Examination,
    configuration::{DEFAULT_PROFILE, Settings, is_dangerous},
    finding::Level,
    introspection::explain,
    report::Report,
};
use crate::printable::printable;

const SOURCE: &str = "RFC 9068 section 4, RFC 8725 section 3.11";

/// What a profile makes of the token.
struct Trial {
    profile: &'static str,
    explanation: Explanation,
    /// The fields of the checks that failed.
    failed: Vec<&'static str>,
}

impl Trial {
    fn is_accepted(&self) -> bool {
        self.explanation.verdict() == Verdict::Accepted
    }

    fn names_the_kind(&self) -> bool {
        Profile::by_name(self.profile).is_some_and(|profile| profile.names_the_kind())
    }

    fn outcome(&self) -> String {
        match (self.explanation.reason(), &self.failed[..]) {
            (None, _) => "accepts it".to_owned(),
            (Some(reason), []) => format!("refuses it: {reason}"),
            (Some(reason), failed) => format!("refuses it: {reason} ({})", failed.join(", ")),
        }
    }

    /// Whether the token would be, or would have been, accepted at another time.
    fn fits(&self) -> bool {
        let is_signed =
            || self.explanation.steps().any(|step| step.step == Step::Signature && step.status == Status::Passed);
        self.is_accepted()
            || !self.failed.is_empty()
                && self.failed.iter().all(|field| ["exp", "nbf", "iat"].contains(field))
                && is_signed()
    }
}

/// Without a token: the profile by the issuer's address.
pub(super) fn guess(examination: &mut Examination, settings: &mut Settings) {
    let (profile, why) = presumed(settings);
    settings.profile = profile;
    examination.report.member("profile", profile);
    let text = format!("no token was tried; the configuration has {why}, {profile}");
    let remedy = "send a sample token to standard input of `scopegate doctor ISSUER --token -`";
    examination.report.findings.add(Level::Note, None, text, SOURCE, remedy);
}

/// The profile that nothing but the command line and the address speak for.
fn presumed(settings: &Settings) -> (&'static str, &'static str) {
    match (settings.named_profile, Profile::name_by_issuer(&settings.issuer)) {
        (Some(profile), _) => (profile, "the profile of the command line"),
        (None, Some(profile)) => (profile, "the profile by the issuer's address"),
        (None, None) => (DEFAULT_PROFILE, "the profile by default"),
    }
}

/// Tries the token, and puts into the settings what it says of audience and profile: only if it fits, since what is not
/// verified may be anybody's.
pub(super) async fn examine(examination: &mut Examination, settings: &mut Settings, token: &str) {
    examination.report.part("Sample token");
    (settings.profile, _) = presumed(settings);
    let audiences = match settings.is_audience_known {
        true => Vec::new(),
        false => audiences(examination, settings, token).await,
    };
    let mut tried = settings.clone();
    if let Some(first) = audiences.first() {
        tried.audience.clone_from(first);
    }
    let fitting = if is_opaque(examination, &tried, token).await {
        examine_opaque(examination, &tried, token).await
    } else {
        examine_jwt(examination, &tried, token).await
    };
    examination.report.member("profile", fitting.unwrap_or(settings.profile));
    let Some(profile) = fitting else { return };
    settings.profile = profile;
    match &audiences[..] {
        [] => {}
        [audience] => (settings.audience, settings.is_audience_known) = (audience.clone(), true),
        several => {
            let names = printable(&several.join(", "));
            let text = format!("the sample token is for several audiences, one of which is this service: {names}");
            let remedy = "name it with `--audience`";
            examination.report.findings.add(Level::Warning, None, text, "RFC 9068 section 4", remedy);
            settings.candidates = audiences;
        }
    }
}

/// Tries every profile. The one that fits best, if the token fits it.
async fn examine_jwt(examination: &mut Examination, settings: &Settings, token: &str) -> Option<&'static str> {
    let mut trials = Vec::new();
    for profile in Profile::names() {
        let tried = Settings { profile, ..settings.clone() };
        let outcome = match tried.build(Startup::Lazy, &examination.network).await {
            Ok(server) => {
                let explanation = explain(&server, token).await;
                let trial = Trial { profile, failed: failed(&explanation), explanation };
                let outcome = trial.outcome();
                trials.push(trial);
                outcome
            }
            Err(faults) => format!("not tried: {}", faults.join("; ")),
        };
        examination.report.line(format_args!("{profile:28} {outcome}"));
    }
    examination.report.member("profiles", trials.iter().map(described).collect::<Vec<Value>>());
    let named = trials.iter().find(|trial| Some(trial.profile) == settings.named_profile);
    let best = named.or_else(|| best(&trials, &settings.issuer))?;
    // Where something else than the token said so, there is no doubt.
    let is_certain =
        named.is_some() || Profile::name_by_issuer(&settings.issuer) == Some(best.profile) || best.names_the_kind();
    judge(examination, &trials, best, is_certain);
    best.fits().then_some(best.profile)
}

/// Whether somebody has to be asked about the token, by a service that asks nobody.
async fn is_opaque(examination: &Examination, settings: &Settings, token: &str) -> bool {
    let asking_nobody = Settings { client: None, ..settings.clone() };
    match asking_nobody.build(Startup::Lazy, &examination.network).await {
        Ok(server) => explain(&server, token).await.reason() == Some(Reason::OpaqueToken),
        Err(_) => false,
    }
}

/// Explains what the issuer says of a token that has no format. The profile, if the token is accepted.
async fn examine_opaque(examination: &mut Examination, settings: &Settings, token: &str) -> Option<&'static str> {
    const SOURCE: &str = "RFC 7662 section 2.2";
    let built = settings.build(Startup::Lazy, &examination.network).await;
    let report = &mut examination.report;
    report.line("opaque: profiles do not matter");
    let mut fault = |text: String, remedy: String| report.findings.add(Level::Fault, None, text, SOURCE, remedy);
    if settings.client.is_none() {
        let (text, remedy) = match settings.is_introspection_unsound {
            true => {
                ("and the answers of the introspection endpoint are worth nothing", "remedy the other faults first")
            }
            false => (
                "and without credentials the issuer cannot be asked about it",
                "name `--client-id` and `--client-secret-file` of this service at the issuer",
            ),
        };
        fault(format!("the sample token is opaque, {text}"), remedy.to_owned());
        return None;
    }
    let explanation = match built {
        Ok(server) => explain(&server, token).await,
        Err(faults) => {
            let text = format!("the issuer cannot be asked about the sample token: {}", faults.join("; "));
            fault(text, "correct `--client-id` and `--client-secret-file`".to_owned());
            return None;
        }
    };
    shown(report, &explanation);
    if let Some(reason) = explanation.reason() {
        let text = format!("the sample token is refused: {reason}");
        report.findings.add(Level::Fault, None, text, SOURCE, remedy(&explanation));
        return None;
    }
    report.findings.add(Level::Note, None, "the sample token is accepted", SOURCE, "nothing");
    Some(settings.profile)
}

fn shown(report: &mut Report, explanation: &Explanation) {
    report.member("explanation", serde_json::to_value(explanation).unwrap_or_default());
    explanation.to_string().lines().for_each(|line| report.line(line));
}

/// The remedy on one line.
fn remedy(explanation: &Explanation) -> String {
    explanation.remedy().unwrap_or_default().split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The one that fits: by the issuer's address, the standard, or else one that asks the token what it is. Where none
/// fits, the one with which the fewest checks fail. One that weakens a check is for the user to name.
fn best<'t>(trials: &'t [Trial], issuer: &str) -> Option<&'t Trial> {
    let rank = |trial: &&Trial| {
        let preference = match trial.profile {
            profile if Profile::name_by_issuer(issuer) == Some(profile) => 0,
            DEFAULT_PROFILE => 1,
            _ if trial.names_the_kind() => 2,
            _ => 3,
        };
        (!trial.is_accepted(), !trial.fits(), trial.failed.len(), preference)
    };
    trials.iter().filter(|trial| !is_dangerous(trial.profile)).min_by_key(rank)
}

fn judge(examination: &mut Examination, trials: &[Trial], best: &Trial, is_certain: bool) {
    let report = &mut examination.report;
    report.part(format_args!("Sample token, by the profile {}", best.profile));
    shown(report, &best.explanation);

    let remedy = remedy(&best.explanation);
    let reason = best.explanation.reason();
    let fitting: Vec<_> = trials.iter().filter(|trial| trial.is_accepted()).map(|trial| trial.profile).collect();
    let (dangerous, safe): (Vec<&str>, Vec<&str>) = fitting.iter().partition(|profile| is_dangerous(profile));
    if best.is_accepted() {
        let text = format!("the sample token is accepted with the profile {}", best.profile);
        let (level, remedy) = match (safe.len(), is_certain) {
            (0 | 1, _) => (Level::Note, "nothing".to_owned()),
            (_, true) => (Level::Note, format!("nothing; it fits {}: `--profile` chooses", safe.join(", "))),
            (_, false) => (
                Level::Warning,
                format!("choose the profile of your issuer's product by `--profile`: {}", safe.join(", ")),
            ),
        };
        report.findings.add(level, None, text, SOURCE, remedy);
    } else if best.fits() {
        let text =
            format!("the sample token fits the profile {}, at another time: {}", best.profile, best.failed.join(", "));
        let remedy = "nothing, if the token is old; otherwise compare the clocks";
        report.findings.add(Level::Warning, None, text, "RFC 7519 section 4.1", remedy);
    } else if let ([], [only, ..]) = (&safe[..], &dangerous[..]) {
        let text = format!("only a profile that weakens a check accepts the sample token: {only}");
        let remedy =
            format!("read what docs/providers.md says of it; if that is what you want, name it: `--profile {only}`");
        report.findings.add(Level::Fault, None, text, SOURCE, remedy);
    } else {
        let text = format!(
            "{}: {}",
            match fitting.is_empty() {
                false => format!("the profile {} refuses the sample token", best.profile),
                true => "no profile accepts the sample token".to_owned(),
            },
            reason.map_or("", Reason::as_str),
        );
        report.findings.add(Level::Fault, None, text, SOURCE, remedy);
    }
}

fn failed(explanation: &Explanation) -> Vec<&'static str> {
    let checks = explanation.steps().flat_map(|step| step.checks);
    checks.filter(|check| check.status == Status::Failed).map(|check| check.field).collect()
}

fn described(trial: &Trial) -> Value {
    json!({
        "profile": trial.profile,
        "accepts": trial.is_accepted(),
        "reason": trial.explanation.reason().map(Reason::as_str),
        "failed": trial.failed,
    })
}

/// The audiences of the token.
async fn audiences(examination: &Examination, settings: &Settings, token: &str) -> Vec<String> {
    let Ok(server) = settings.build(Startup::Lazy, &examination.network).await else { return Vec::new() };
    let explanation = serde_json::to_value(explain(&server, token).await.show_claims()).unwrap_or_default();
    match &explanation["claims"]["aud"] {
        Value::String(audience) => vec![audience.clone()],
        Value::Array(audiences) => audiences.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
