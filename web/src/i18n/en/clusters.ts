export default {
  title: "Clusters and health",
};
