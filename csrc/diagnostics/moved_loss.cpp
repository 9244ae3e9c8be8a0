#include "diagnostics/moved_loss.h"

#include <torch/torch.h>

#include <utility>

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// While it lives, the parameters' data is `theta`.
class Moved {
 public:
  Moved(const ParameterLayout& parameters, const Tensor& theta) {
    const auto stand_ins = parameters.views(theta);
    for (size_t i = 0; i < stand_ins.size(); ++i) {
      restores_.push_back(exchange_data(parameters.tensors()[i], stand_ins[i]));
    }
  }
  ~Moved() {
    for (auto restore = restores_.rbegin(); restore != restores_.rend(); ++restore) (*restore)();
  }
  Moved(const Moved&) = delete;
  Moved& operator=(const Moved&) = delete;

 private:
  std::vector<Restore> restores_;
};

}  // namespace

MovedLoss::MovedLoss(std::function<Tensor()> loss, std::vector<Tensor> parameters)
    : loss_(std::move(loss)),
      parameters_(std::move(parameters)),
      generators_(generator_states(parameters_.options().device())) {}

Tensor MovedLoss::here() const {
  const torch::AutoGradMode enable_grad(true);
  generators_();
  return loss_();
}

void MovedLoss::at(const Tensor& d, const std::function<void(const Tensor&)>& look) const {
  const Moved moved(parameters_, parameters_.values() + d);
  look(here());
}

double MovedLoss::value_at(const Tensor& d) const {
  const Moved moved(parameters_, parameters_.values() + d);
  const torch::NoGradGuard no_grad;
  generators_();
  return loss_().item<double>();
}

}  // namespace natgrad::detail
