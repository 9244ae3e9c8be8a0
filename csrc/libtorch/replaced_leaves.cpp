#include "libtorch/replaced_leaves.h"

#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Edge;

ReplacedLeaves::ReplacedLeaves(std::vector<Tensor> leaves) : leaves_(std::move(leaves)) {
  for (const auto& leaf : leaves_) {
    TORCH_CHECK_VALUE(leaf.is_leaf(), "natgrad: the parameters have to be leaves.");
    own_.push_back(leaf.detach());
  }
}

ReplacedLeaves::~ReplacedLeaves() { put_back(); }

void ReplacedLeaves::by(const std::vector<Tensor>& stand_ins) {
  for (size_t k = 0; k < leaves_.size(); ++k) {
    leaves_[k].set_data(stand_ins[k].detach());
    const bool is_result = stand_ins[k].grad_fn() != nullptr;
    torch::autograd::impl::set_gradient_edge(
        leaves_[k], is_result ? torch::autograd::impl::gradient_edge(stand_ins[k]) : Edge());
  }
  stand_ins_ = stand_ins;
}

void ReplacedLeaves::put_back() {
  for (size_t k = 0; k < leaves_.size(); ++k) {
    torch::autograd::impl::set_gradient_edge(leaves_[k], Edge());
    leaves_[k].set_data(own_[k]);
  }
  stand_ins_.clear();
}

}  // namespace natgrad::detail
