export default {
  "statistics.versions": "Versions installées",
  "statistics.versions.none": "Aucune machine n’a indiqué sa version.",
  "statistics.versions.unknown": "Non indiquée",
  "statistics.versions.others": {"one": "{n} autre version", "other": "{n} autres versions"},
  "chart.title": "30 derniers jours",
  "chart.enrollments": "Enrôlements",
  "chart.uninstalls": "Désinstallations",
  "chart.label": "Enrôlements et désinstallations par jour : {enrollments} et {uninstalls} en 30 jours.",
  "chart.day": "{day} – enrôlements : {enrollments}, désinstallations : {uninstalls}",
  "chart.table": "Afficher en tableau",
  "chart.date": "Jour (UTC)"
};
