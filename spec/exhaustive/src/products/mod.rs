//! The products of facts, each of which is compared in full, and the pairs of facts of different products.

mod binding;
mod claims;
mod introspection;
mod jose;
mod scopes;
mod transport;

use std::fmt::Write as _;

use crate::facts::{Axis, Product, Set};

/// Nothing else holds.
const ORDINARY: Set = |_| {};

const fn axis(name: &'static str, values: &'static [(&'static str, Set)]) -> Axis {
    Axis { name, values }
}

/// All of them. The last have every value of each fact of one product beside every value of each fact of another one.
pub fn all() -> Vec<Product> {
    let full = [jose::products(), claims::products(), scopes::products(), transport::products()];
    let full: Vec<Product> =
        full.into_iter().flatten().chain(binding::products()).chain(introspection::products()).collect();
    let cheap = full.iter().filter(|product| product.name != "RSA");
    let pairs: Vec<Product> = cheap.flat_map(|product| pairs_with(product, &full)).collect();
    full.into_iter().chain(pairs).collect()
}

/// Every fact of a product beside every fact that this product does not have, where the product's base holds.
fn pairs_with<'a>(product: &'a Product, others: &'a [Product]) -> impl Iterator<Item = Product> + 'a {
    let own = || product.configuration.iter().chain(&product.request);
    let is_own = move |name: &str| own().any(|axis| axis.name == name);
    let mut foreign: Vec<(&Axis, bool)> = Vec::new();
    for other in others {
        let configuration = other.configuration.iter().map(|axis| (axis, true));
        for (axis, is_configuration) in configuration.chain(other.request.iter().map(|axis| (axis, false))) {
            if !is_own(axis.name) && foreign.iter().all(|(known, _)| known.name != axis.name) {
                foreign.push((axis, is_configuration));
            }
        }
    }
    let configuration = product.configuration.iter().map(|axis| (axis, true));
    let own = configuration.chain(product.request.iter().map(|axis| (axis, false)));
    own.flat_map(move |own| foreign.clone().into_iter().map(move |foreign| [own, foreign])).map(|pair| {
        let of = |wanted: bool| {
            pair.iter().filter(move |(_, is_configuration)| *is_configuration == wanted).map(|(axis, _)| **axis)
        };
        Product {
            name: product.name,
            is_pair: true,
            base: product.base,
            configuration: of(true).collect(),
            request: of(false).collect(),
        }
    })
}

/// Which facts each has, and how many values of each.
pub fn list(products: &[Product]) -> String {
    let mut text = String::new();
    for product in products.iter().filter(|product| !product.is_pair) {
        let facts = product.configuration.iter().chain(&product.request);
        let facts: Vec<String> = facts.map(|axis| format!("{} ({})", axis.name, axis.values.len())).collect();
        let _ = writeln!(text, "{:>8} {}: {}", product.size(), product.name, facts.join(" × "));
    }
    let pairs: Vec<&Product> = products.iter().filter(|product| product.is_pair).collect();
    let size: usize = pairs.iter().map(|product| product.size()).sum();
    let _ = writeln!(
        text,
        "{size:>8} pairs: {} pairs of facts of different products, with all of their values",
        pairs.len()
    );
    text
}
