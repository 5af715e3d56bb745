export default {
  title: "新建操作",
};
