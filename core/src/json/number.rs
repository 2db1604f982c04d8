//! Numbers that are whole, however they are written.

/// The value of a number's text if it is mathematically a whole number that fits: `1000`, `1000.0`, `1e3`. `None` for
/// anything else.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, digits) = digits.strip_prefix('-').map_or((1, digits), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let all = [whole, fraction].concat();
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    if sign < 0 {
        return None;
    }
    let zeros = i64::try_from(all.len() - significant.len()).ok()?;
    let scale = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let power = 10_u64.checked_pow(u32::try_from(scale.checked_add(zeros)?).ok()?)?;
    significant.trim_start_matches('0').parse::<u64>().ok()?.checked_mul(power)
}
