//! The report as one HTML file that needs no network: a template with the report as JSON inside.

use super::Report;

const TEMPLATE: &str = include_str!("page.html");
const PLACE: &str = "@DATA@";

/// The page.
///
/// # Errors
/// When the report cannot be written as JSON.
pub fn page(report: &Report) -> Result<String, serde_json::Error> {
    // Inside a script element only `<` can end or open anything; as an escape it is the same JSON.
    let data = serde_json::to_string(report)?.replace('<', "\\u003c");
    Ok(TEMPLATE.replacen(PLACE, &data, 1))
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let page = page(&sample()).unwrap();
        assert_eq!(page.matches("</script>").count(), TEMPLATE.matches("</script>").count());
        let data = page.split("type=\"application/json\">").nth(1).unwrap().split("</script>").next().unwrap();
        let value: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(value["segments"][1]["source"], "</script><b>2 & 3</b>");
    }

    #[test]
    fn the_page_asks_for_nothing_from_outside() {
        for forbidden in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!TEMPLATE.replace("http://www.w3.org/2000/svg", "").contains(forbidden), "{forbidden}");
        }
    }
}
