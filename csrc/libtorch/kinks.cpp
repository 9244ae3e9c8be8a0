#include "libtorch/kinks.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/generated/Functions.h>
#include <torch/torch.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "libtorch/saved.h"

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Node;
using torch::autograd::variable_list;
namespace generated = torch::autograd::generated;

namespace {

template <class Norm>
bool is_at_zero(Node& node) {
  auto* norm = dynamic_cast<Norm*>(&node);
  if (!norm) return false;
  const Tensor result = saved(norm->result_, node);
  return result.eq(0).any().item<bool>();
}

class ZeroForNaN final : public torch::autograd::FunctionPostHook {
 public:
  variable_list operator()(const variable_list& passed_on, const variable_list&) override {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    auto finite = passed_on;
    for (auto& gradient : finite) {
      if (gradient.defined()) gradient = gradient.nan_to_num(0., kInfinity, -kInfinity);
    }
    return finite;
  }
};

}  // namespace

bool has_norm_at_zero(const std::vector<Node*>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(), [](Node* node) {
    return is_at_zero<generated::NormBackward0>(*node) ||
           is_at_zero<generated::NormBackward1>(*node) ||
           is_at_zero<generated::NormBackward2>(*node) ||
           is_at_zero<generated::NormBackward3>(*node) ||
           is_at_zero<generated::LinalgVectorNormBackward0>(*node);
  });
}

void flatten_kinks(const std::vector<Node*>& nodes) {
  for (Node* node : nodes) {
    if (dynamic_cast<generated::DivBackward0*>(node)) {
      node->add_post_hook(std::make_unique<ZeroForNaN>());
    }
  }
}

}  // namespace natgrad::detail
