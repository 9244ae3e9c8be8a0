#include "libtorch/hooks.h"
#include <torch/csrc/autograd/cpp_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include <algorithm>

#include "graph/depth_first.h"

namespace natgrad::detail {
namespace {

using torch::autograd::Node;

/// Whether a hook does something: one that was removed leaves an empty function behind.
bool is_alive(const torch::autograd::FunctionPreHook& hook) {
  using torch::autograd::CppFunctionTensorPreHook;  // LibTorch exports no type information for it
  if (c10::demangle(typeid(hook).name()) != "torch::autograd::CppFunctionTensorPreHook") {
    return true;
  }
  const auto& functions = *static_cast<const CppFunctionTensorPreHook&>(hook).hooks_;
  return std::any_of(functions.begin(), functions.end(),
                     [](const auto& f) { return f != nullptr; });
}

bool is_leaf(const Node& node) { return node.next_edges().empty(); }

bool has_hooks(Node& node) {
  const auto& before = node.tensor_pre_hooks();
  return (!is_leaf(node) && !node.post_hooks().empty()) ||  // a leaf's run at accumulation only
         std::any_of(before.begin(), before.end(),
                     [](const auto& hook) { return is_alive(*hook); });
}

Node* top_of(const torch::Tensor& loss) {
  return torch::autograd::impl::gradient_edge(loss).function.get();
}

}  // namespace

void check_hooks(const torch::Tensor& loss) {
  depth_first(top_of(loss), [](Node& node, Node*) {
    TORCH_CHECK(
        !has_hooks(node), "natgrad: ", is_leaf(node) ? "a parameter" : node.name(),
        " carries a gradient hook, which would run inside every curvature product and change it. "
        "Remove the hook; to clamp or scale gradients, do it in the loss.");
    return true;
  });
}

SuspendedRetainGrad::SuspendedRetainGrad(const torch::Tensor& loss) {
  depth_first(top_of(loss), [this](Node& node, Node*) {
    while (!node.retains_grad_hooks().empty()) {
      const auto output = static_cast<size_t>(node.retains_grad_hooks().begin()->first);
      hooks_.push_back({c10::intrusive_ptr<Node>::reclaim_copy(&node), output,
                        node.pop_retains_grad_hook(output)});
    }
    return true;
  });
}

SuspendedRetainGrad::~SuspendedRetainGrad() {
  for (auto& [node, output, hook] : hooks_) node->add_retains_grad_hook(std::move(hook), output);
}

}  // namespace natgrad::detail
