#include <torch/torch.h>

#include "fisher_ggn/family_tables.h"

namespace examples {

using torch::Tensor;

Tensor first_half(const Tensor& z) { return z.chunk(2, 1)[0]; }
Tensor second_half(const Tensor& z) { return z.chunk(2, 1)[1]; }

Family::Map on_second_half(Family::Map map) {
  return [=](const Tensor& z) { return torch::cat({first_half(z), map(second_half(z))}, 1); };
}
Family::Map below(double limit) {
  return [=](const Tensor& z) { return limit + torch::log_sigmoid(z); };
}
Family::Map above(double limit) {
  return [=](const Tensor& z) { return limit - torch::log_sigmoid(z); };
}
Family::Map within(double centre, double reach) {
  return [=](const Tensor& z) { return centre + reach * torch::tanh(z); };
}

std::function<Support(const Tensor&)> each_of(const Tensor& values) {
  return [=](const Tensor& z) { return all_values(values, z.size(0)); };
}
Tensor counts_up_to(int64_t largest) {
  return torch::arange(largest + 1, torch::kDouble).unsqueeze(1);
}

}  // namespace examples
