//! Quantiles of samples.

/// The quantiles of these samples, by percent; 0 without samples.
pub(crate) fn quantiles<const N: usize>(
    samples: impl IntoIterator<Item = f64>,
    percents: [usize; N],
) -> [f64; N] {
    let mut samples: Vec<f64> = samples.into_iter().collect();
    samples.sort_by(f64::total_cmp);
    percents.map(|percent| {
        let at = (samples.len() * percent / 100).min(samples.len().saturating_sub(1));
        samples.get(at).copied().unwrap_or_default()
    })
}
