//! Detects RSA moduli that are weak by construction, so that others than the key's holder can sign (KEY-15).
//!
//! Three kinds are detected: primes, moduli with a small factor (both as in SP 800-89 §5.3.3), and moduli of the library
//! behind CVE-2017-15361, "ROCA". No library of every build exposes arithmetic on numbers of this size, so the little that is
//! needed is here. All numbers are public, so nothing here has to run in constant time.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// A strong modulus has no factor below this.
const LEAST_FACTOR: u64 = 752;

/// The odd primes below [`LEAST_FACTOR`].
const PRIMES: [u64; 132] = {
    let (mut primes, mut found, mut candidate) = ([0; 132], 0, 3);
    while candidate < LEAST_FACTOR {
        let mut divisor = 3;
        while candidate % divisor != 0 {
            divisor += 2;
        }
        if divisor == candidate {
            primes[found] = candidate;
            found += 1;
        }
        candidate += 2;
    }
    assert!(found == primes.len());
    primes
};

/// The last of the 126 primes that the ROCA library used for keys of 2048 bits. Longer keys used these and more.
const LAST_OF_ROCA: u64 = 701;

/// The weakness of a modulus, if it has one.
pub(crate) type Weakness = Option<&'static str>;

/// Examined moduli and their weakness. A refresh brings the same keys again, and tenants of one issuer share theirs, so all
/// issuers share this cache: the result depends on the modulus alone.
static EXAMINED: Mutex<BTreeMap<Box<[u8]>, Weakness>> = Mutex::new(BTreeMap::new());

/// How many examined moduli are kept: a megabyte at 2048 bits.
const MAX_EXAMINED: usize = 4096;

fn remember(examined: &mut BTreeMap<Box<[u8]>, Weakness>, modulus: &[u8], weakness: Weakness) {
    if examined.len() >= MAX_EXAMINED {
        examined.pop_first();
    }
    examined.insert(modulus.into(), weakness);
}

/// The cost of examining a modulus of this length, in products of two limbs: it grows with the third power of the length.
pub(crate) fn work(modulus: &[u8]) -> u64 {
    let limbs = modulus.len().div_ceil(8) as u64;
    128 * limbs * limbs * limbs
}

/// The examination of a modulus, which is odd, has at least two bytes, and is big-endian.
///
/// The first examination takes some 4 ms at 2048 bits and a third of a second at 8192 bits; repeated ones are looked up.
pub(crate) enum Examination {
    Done(Weakness),
    ForPrime(Box<[u8]>, Fermat),
}

impl Examination {
    pub(crate) fn of(modulus: &[u8]) -> Self {
        if let Some(weakness) = EXAMINED.lock().unwrap_or_else(PoisonError::into_inner).get(modulus) {
            return Self::Done(*weakness);
        }
        let limbs = limbs(modulus);
        match weakness_by_residues(&limbs) {
            Some(weakness) => Self::Done(Some(weakness)),
            None => Self::ForPrime(modulus.into(), Fermat::new(limbs)),
        }
    }

    /// Computes for about a millisecond. Returns the result once the examination is complete.
    pub(crate) fn advance(&mut self) -> Option<Weakness> {
        let (modulus, test) = match self {
            Self::Done(weakness) => return Some(*weakness),
            Self::ForPrime(modulus, test) => (modulus, test),
        };
        let weakness = test.advance()?.then_some("its modulus is a prime, so that everyone can sign with it");
        remember(&mut EXAMINED.lock().unwrap_or_else(PoisonError::into_inner), modulus, weakness);
        *self = Self::Done(weakness);
        Some(weakness)
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// Runs the examination to its end.
    pub(crate) fn finish(mut self) -> Weakness {
        loop {
            if let Some(weakness) = self.advance() {
                return weakness;
            }
        }
    }
}

/// The weakness of a modulus, if it has one but that of being a prime. It takes some ten microseconds, and nothing is kept.
pub(crate) fn quickly_found_weakness(modulus: &[u8]) -> Weakness {
    weakness_by_residues(&limbs(modulus))
}

fn limbs(modulus: &[u8]) -> Vec<u64> {
    modulus.rchunks(8).map(|chunk| chunk.iter().fold(0, |limb, &byte| limb << 8 | u64::from(byte))).collect()
}

fn weakness_by_residues(limbs: &[u64]) -> Weakness {
    let residues = PRIMES.map(|prime| residue(limbs, prime));
    if residues.contains(&0) {
        Some("its modulus has a factor below 752, so that everyone can sign with it")
    } else if has_roca_fingerprint(&residues) {
        Some("its modulus has the fingerprint of CVE-2017-15361 (ROCA), so that others can sign with it")
    } else {
        None
    }
}

/// The number modulo a prime of less than 32 bits.
fn residue(limbs: &[u64], prime: u64) -> u64 {
    limbs.iter().rev().fold(0, |residue, limb| {
        let upper = (residue << 32 | limb >> 32) % prime;
        (upper << 32 | limb & 0xffff_ffff) % prime
    })
}

/// The factors of a ROCA modulus, and so the modulus, are powers of 65537 modulo each of the primes (Nemec et al., "The Return
/// of Coppersmith's Attack", 2017, §3). Of other moduli that is true of one in 2^167.
fn has_roca_fingerprint(residues: &[u64]) -> bool {
    let is_power = |(&prime, &residue): (&u64, &u64)| {
        let mut power = 1;
        loop {
            if power == residue {
                return true;
            }
            power = power * 65_537 % prime;
            if power == 1 {
                return false;
            }
        }
    };
    PRIMES.iter().zip(residues).take_while(|(prime, _)| **prime <= LAST_OF_ROCA).all(is_power)
}

/// Fermat's test to the base 2. Every prime passes; composites that pass are so rare that no modulus does by accident.
pub(crate) struct Fermat {
    modulus: Vec<u64>,
    negated_inverse: u64,
    /// One, in Montgomery form.
    one: Vec<u64>,
    /// 2 to the power of the exponent's bits processed so far.
    power: Vec<u64>,
    scratch: Vec<u64>,
    /// The number of remaining exponent bits.
    bits: usize,
}

impl Fermat {
    fn new(modulus: Vec<u64>) -> Self {
        let lowest = modulus.first().copied().unwrap_or(1);
        // The inverse modulo 2^64 by Newton's method: each step doubles the number of correct bits, three at first.
        let inverse =
            (0..5).fold(lowest, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(lowest.wrapping_mul(inverse))));
        // 2^(64 * limbs), by doubling.
        let mut one = vec![0; modulus.len()];
        one[0] = 1;
        (0..64 * modulus.len()).for_each(|_| double(&mut one, &modulus));
        Self {
            negated_inverse: inverse.wrapping_neg(),
            power: one.clone(),
            scratch: vec![0; modulus.len() + 2],
            bits: 64 * modulus.len(),
            one,
            modulus,
        }
    }

    /// Processes more bits of the exponent, which is the modulus less one. Returns the result once none remain.
    fn advance(&mut self) -> Option<bool> {
        /// This many products of two limbs take about a millisecond.
        const SLICE: usize = 500_000;
        let limbs = self.modulus.len();
        for _ in 0..(SLICE / (2 * limbs * limbs)).max(1) {
            let Some(bits) = self.bits.checked_sub(1) else { break };
            self.bits = bits;
            square(&mut self.power, &self.modulus, self.negated_inverse, &mut self.scratch);
            // The exponent differs from the modulus in the lowest bit only.
            if bits > 0 && self.modulus[bits / 64] >> (bits % 64) & 1 == 1 {
                double(&mut self.power, &self.modulus);
            }
        }
        (self.bits == 0).then(|| self.power == self.one)
    }
}

/// Doubles a number that is less than the modulus.
fn double(number: &mut [u64], modulus: &[u64]) {
    let mut carry = 0;
    for limb in number.iter_mut() {
        (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
    }
    reduce(number, carry, modulus);
}

/// Squares a number in Montgomery form that is less than the modulus.
fn square(number: &mut [u64], modulus: &[u64], negated_inverse: u64, scratch: &mut [u64]) {
    let length = modulus.len();
    scratch.fill(0);
    for index in 0..length {
        // Adds one limb's share of the product and the multiple that clears the lowest limb, then shifts down by one limb.
        let mut carry = add_product(&mut scratch[..length], number, number[index]);
        (scratch[length], carry) = sum(scratch[length], carry);
        scratch[length + 1] = carry;
        let factor = scratch[0].wrapping_mul(negated_inverse);
        let mut carry = add_product(&mut scratch[..length], modulus, factor);
        (scratch[length], carry) = sum(scratch[length], carry);
        scratch[length + 1] += carry;
        scratch.copy_within(1.., 0);
        scratch[length + 1] = 0;
    }
    number.copy_from_slice(&scratch[..length]);
    reduce(number, scratch[length], modulus);
}

/// Adds a multiple of a number of the same length. Returns the carry.
fn add_product(to: &mut [u64], number: &[u64], factor: u64) -> u64 {
    let mut carry = 0;
    for (to, limb) in to.iter_mut().zip(number) {
        // At most 2^128 - 1.
        let wide = u128::from(*limb) * u128::from(factor) + u128::from(*to) + u128::from(carry);
        (*to, carry) = (wide as u64, (wide >> 64) as u64);
    }
    carry
}

fn sum(a: u64, b: u64) -> (u64, u64) {
    let (sum, carried) = a.overflowing_add(b);
    (sum, u64::from(carried))
}

/// Subtracts the modulus from a number with the additional limb `above`, where the number is less than twice the modulus.
fn reduce(number: &mut [u64], above: u64, modulus: &[u64]) {
    if above == 0 && number.iter().rev().lt(modulus.iter().rev()) {
        return;
    }
    let mut borrow = false;
    for (limb, other) in number.iter_mut().zip(modulus) {
        let (difference, first) = limb.overflowing_sub(*other);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        (*limb, borrow) = (difference, first || second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a number of one or two limbs passes Fermat's test.
    fn passes(number: u128) -> bool {
        let mut limbs = vec![number as u64, (number >> 64) as u64];
        limbs.truncate(if limbs[1] == 0 { 1 } else { 2 });
        let mut test = Fermat::new(limbs);
        std::iter::repeat_with(|| test.advance()).flatten().next().unwrap()
    }

    #[test]
    fn a_long_modulus_is_examined_in_slices_and_once() {
        // 2^8191 - 1 is composite and passes Fermat's test.
        let mut modulus = [0xff; 1024];
        modulus[0] = 0x7f;
        let mut examination = Examination::of(&modulus);
        let slices = std::iter::repeat_with(|| examination.advance()).take_while(Option::is_none).count();
        assert!(slices > 100, "{slices}");
        assert!(Examination::of(&modulus).is_done(), "a weak one is remembered, too");
        assert!(Examination::of(&modulus).finish().is_some_and(|weakness| weakness.contains("prime")));
    }

    #[test]
    fn key_15_every_prime_passes_fermats_test() {
        let is_prime =
            |number: u128| (2..).take_while(|d| d * d <= number).all(|divisor| !number.is_multiple_of(divisor));
        // Composites that pass: the pseudoprimes to the base 2 below 3000.
        let pseudoprimes = [341, 561, 645, 1105, 1387, 1729, 1905, 2047, 2465, 2701, 2821];
        for number in (3..3000).step_by(2) {
            assert_eq!(passes(number), is_prime(number) || pseudoprimes.contains(&number), "{number}");
        }
        // The greatest primes below 2^64 and 2^128, two Mersenne primes, and their neighbours.
        for prime in [u128::from(u64::MAX - 58), u128::MAX - 158, (1 << 89) - 1, (1 << 127) - 1] {
            assert!(passes(prime), "{prime}");
            assert!(!passes(prime - 2) && !passes(prime - 4), "{prime}");
        }
        assert!(!passes(u128::MAX) && !passes(u128::from(u64::MAX)));
    }

    #[test]
    fn primes_are_those_below_the_least_factor() {
        assert_eq!((PRIMES[0], PRIMES[1], PRIMES[131]), (3, 5, 751));
        assert_eq!(1 + PRIMES.iter().filter(|prime| **prime <= LAST_OF_ROCA).count(), 126);
    }

    #[test]
    fn a_residue_is_that_of_the_whole_number() {
        for number in [1_u128, u128::from(u64::MAX), u128::MAX, u128::MAX / 3, 1 << 64, (1 << 96) + 12_345] {
            let limbs = [number as u64, (number >> 64) as u64];
            for prime in PRIMES {
                assert_eq!(u128::from(residue(&limbs, prime)), number % u128::from(prime), "{number}, {prime}");
            }
        }
    }

    #[test]
    fn key_15_the_fingerprint_is_of_every_prime() {
        // 65537 to the power of 77, modulo each.
        let residues = PRIMES.map(|prime| (0..77).fold(1, |power, _| power * 65_537 % prime));
        assert!(has_roca_fingerprint(&residues));
        // 11 and 691 have residues that are not powers of 65537; 709 is beyond the library's primes.
        for (prime, other, has) in [(11, 5, false), (691, 2, false), (709, 2, true)] {
            let mut changed = residues;
            changed[PRIMES.iter().position(|&known| known == prime).unwrap()] = other;
            assert_eq!(has_roca_fingerprint(&changed), has, "{prime}");
        }
    }

    #[test]
    fn what_is_known_of_moduli_is_bounded() {
        let mut examined = BTreeMap::new();
        (0..10_000_u16).for_each(|number| remember(&mut examined, &number.to_be_bytes(), None));
        assert_eq!(examined.len(), MAX_EXAMINED);
        // (2^61 - 1) * (2^31 - 1).
        let modulus = (((1_u128 << 61) - 1) * ((1 << 31) - 1)).to_be_bytes();
        assert!(!Examination::of(&modulus).is_done());
        assert_eq!(Examination::of(&modulus).finish(), None);
        assert!(Examination::of(&modulus).is_done());
    }
}
