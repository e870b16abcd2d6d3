export default {
  "statistics.versions": "Installed versions",
  "statistics.versions.none": "No machine has reported its version.",
  "statistics.versions.unknown": "Not reported",
  "statistics.versions.others": {"one": "{n} other version", "other": "{n} other versions"},
  "chart.title": "Last 30 days",
  "chart.enrollments": "Enrollments",
  "chart.uninstalls": "Uninstalls",
  "chart.label": "Enrollments and uninstalls per day: {enrollments} and {uninstalls} in 30 days.",
  "chart.day": "{day}: {enrollments} enrolled, {uninstalls} uninstalled",
  "chart.table": "Show as a table",
  "chart.date": "Day (UTC)"
};
