export default {
  title: "集群与健康",
};
