use super::*;
use crate::token::verified::tests::verified;

fn key(number: u32) -> CacheKey {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&number.to_be_bytes());
    CacheKey::new(digest)
}

fn answer(verdict: Verdict) -> Arc<Answer> {
    let (asked_at, keep_until) = (Duration::from_secs(10), Duration::from_secs(40));
    Arc::new(Answer { verdict, number: 5, asked_at, keep_until, tags: vec![key(7)], from_upstream: true })
}

fn good() -> Arc<Answer> {
    answer(Verdict::Good(verified("https://a", Some("alice"), None)))
}

fn bad() -> Arc<Answer> {
    answer(Verdict::bad(&Reason::InactiveToken.into()))
}

#[test]
fn c_06_intro_9_a_million_bad_answers_take_a_bounded_place_of_their_own() {
    let bytes = 8 * 1024 * 1024;
    let cache = LocalCache::new(&CacheConfig::default().max_bytes(bytes));
    (0..1000).for_each(|number| cache.insert(key(number), good()));
    (1000..1_001_000).for_each(|number| cache.insert(key(number), bad()));
    let (kept, bad, weight) = cache.size();
    assert!(weight <= bytes as u64 * 9 / 8, "{weight}");
    assert!((1..=1024).contains(&bad), "{bad}");
    assert!(kept >= 900, "{kept}");
    assert!((0..1000).filter(|number| cache.get(&key(*number)).is_some()).count() >= 900);
}

#[test]
fn an_answer_replaces_the_one_before_whichever_it_was() {
    let cache = LocalCache::new(&CacheConfig::default());
    for (answer, sizes) in [(good(), (1, 0)), (bad(), (0, 1)), (bad(), (0, 1)), (good(), (1, 0))] {
        cache.insert(key(1), answer);
        assert_eq!((cache.size().0, cache.size().1), sizes);
    }
    cache.remove(&key(1));
    assert!(cache.get(&key(1)).is_none());
    (1..=3).for_each(|number| cache.insert(key(number), if number == 2 { bad() } else { good() }));
    assert_eq!(cache.invalidate(&key(8)), 0);
    assert_eq!((cache.size().0, cache.size().1), (2, 1));
    assert_eq!(cache.invalidate(&key(7)), 3);
    assert_eq!((cache.size().0, cache.size().1), (0, 0));
}

#[test]
fn an_answer_to_an_earlier_question_replaces_none() {
    let cache = LocalCache::new(&CacheConfig::default());
    cache.insert(key(1), bad());
    let earlier = Answer { number: 4, ..Arc::into_inner(good()).unwrap() };
    cache.insert(key(1), Arc::new(earlier));
    assert_eq!((cache.size().0, cache.size().1), (0, 1));
}

/// A good answer with a claim of so many bytes.
fn good_of(bytes: usize) -> Arc<Answer> {
    let issuer = "i".repeat(bytes);
    answer(Verdict::Good(crate::token::verified::tests::with_claims(&format!(r#"{{"name":"{issuer}"}}"#))))
}

#[test]
fn c_13_what_is_too_heavy_is_not_remembered_and_takes_the_place_of_what_was() {
    for (bytes, heaviest) in [(64 * 1024, 8 * 1024), (16 * 1024 * 1024, 32 * 1024)] {
        let cache = LocalCache::new(&CacheConfig::default().max_bytes(bytes));
        for before in [good(), bad()] {
            cache.insert(key(1), good_of(heaviest / 2));
            assert_eq!((cache.size().0, cache.size().1), (1, 0), "{bytes}");
            cache.insert(key(1), before);
            cache.insert(key(1), good_of(heaviest));
            assert_eq!((cache.size().0, cache.size().1), (0, 0), "{bytes}: the verdict before is out of date");
        }
    }
}

#[test]
fn an_answer_of_the_greatest_weight_is_kept_and_one_beyond_is_not() {
    let cache = LocalCache::new(&CacheConfig::default());
    let weight = |bytes| Weighed::new(good_of(bytes)).weight;
    let fits = usize::try_from(cache.heaviest - weight(0)).unwrap();
    assert_eq!((weight(fits), weight(fits + 1)), (cache.heaviest, cache.heaviest + 1));
    cache.insert(key(1), good_of(fits));
    cache.insert(key(2), good_of(fits + 1));
    assert!(cache.get(&key(1)).is_some() && cache.get(&key(2)).is_none());
}

#[test]
fn a_bad_answer_weighs_as_much_as_it_has_failures() {
    let weight = |failures: usize| {
        let failed = || FailedCheck::new(Reason::InactiveToken, "token", "an active one", "another");
        let failures = std::iter::repeat_with(failed).take(failures).collect();
        Weighed::new(answer(Verdict::Bad { reason: Reason::InactiveToken, failures })).weight
    };
    assert_eq!([0, 1, 3].map(weight), [OVERHEAD, OVERHEAD + 256, OVERHEAD + 3 * 256]);
}

#[test]
fn an_answer_is_weighed_again_when_claims_are_built_of_it() {
    let cache = LocalCache::new(&CacheConfig::default());
    let (one, other) = (good(), good());
    cache.insert(key(1), Arc::clone(&one));
    let (_, _, light) = cache.size();
    let claims = |answer: &Answer| match &answer.verdict {
        Verdict::Good(token) => assert!(token.claims_as::<crate::Claims>().is_ok()),
        Verdict::Bad { .. } => unreachable!("it is good"),
    };
    claims(&one);
    let (_, _, heavy) = cache.size();
    assert!(heavy > light + 768, "{light} {heavy}");
    claims(&one);
    assert_eq!(cache.size().2, heavy, "they are built once");
    // What was replaced or forgotten does not come back by it.
    cache.insert(key(2), Arc::clone(&other));
    cache.insert(key(2), bad());
    claims(&other);
    assert_eq!((cache.size().0, cache.size().1), (1, 1));
    cache.remove(&key(2));
    assert_eq!((cache.size().0, cache.size().1), (1, 0));
}

#[test]
fn c_02_a_clock_that_steps_back_forgets_everything() {
    let cache = LocalCache::new(&CacheConfig::default());
    let at = Duration::from_millis;
    cache.note_time(at(5000));
    cache.insert(key(1), good());
    for near in [5000, 4000, 6000, 5000] {
        cache.note_time(at(near));
        assert_eq!(cache.size().0, 1, "{near}");
    }
    cache.insert(key(2), bad());
    cache.note_time(at(4999));
    assert_eq!((cache.size().0, cache.size().1), (0, 0), "good and bad ones");
}

#[test]
fn c_02_an_answer_is_relied_on_for_a_while_and_not_before_it_was_asked_for() {
    let answer = good();
    let at = Duration::from_secs;
    let tick = Duration::from_nanos(1);
    for (now, max_age, is_current) in [
        (at(10) - tick, None, false),
        (at(10), None, true),
        (at(40) - tick, None, true),
        (at(40), None, false),
        (at(10), Some(at(0)), false),
        (at(14), Some(at(5)), true),
        (at(15), Some(at(5)), false),
        (at(39), Some(at(100)), true),
    ] {
        assert_eq!(answer.is_current(now, max_age), is_current, "{now:?} {max_age:?}");
    }
}

#[test]
fn c_01_a_good_answer_is_refused_once_its_token_has_expired() {
    let answer = good();
    let verdict = |now| answer.verdict(&"https://a".into(), now).map_err(|error| error.reason());
    assert!(verdict(Duration::from_secs(100) - Duration::from_nanos(1)).is_ok());
    assert_eq!(verdict(Duration::from_secs(100)).err(), Some(Reason::Expired));
}

#[test]
fn an_answer_that_is_weighed_while_it_is_replaced_does_not_come_back() {
    let cache = LocalCache::new(&CacheConfig::default());
    let (old, new) = (good(), good());
    let mut returned = 0;
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                cache.good.weigh(key(1), &old);
            }
        });
        for _ in 0..100_000 {
            cache.insert(key(1), Arc::clone(&old));
            cache.insert(key(1), Arc::clone(&new));
            returned += usize::from((0..3).any(|_| Arc::ptr_eq(&cache.get(&key(1)).unwrap(), &old)));
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert_eq!(returned, 0);
}
