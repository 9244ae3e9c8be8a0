#include <ATen/CPUGeneratorImpl.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

at::Generator make_generator(uint64_t seed, uint64_t stream) {
  // The golden ratio's bits keep neighbouring (seed, stream) pairs apart.
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;
  return at::make_generator<at::CPUGeneratorImpl>(seed + kGolden * stream);
}

Tensor random_signs_like(const Tensor& t, at::Generator& generator) {
  torch::NoGradGuard no_grad;
  const auto coins =
      torch::empty(t.sizes(), t.options().device(torch::kCPU)).bernoulli_(0.5, generator);
  return coins.mul_(2).sub_(1).to(t.device());
}

Tensor random_normal(torch::IntArrayRef shape, const torch::TensorOptions& options,
                     at::Generator& generator) {
  torch::NoGradGuard no_grad;
  return torch::randn(shape, generator, options.device(torch::kCPU)).to(options.device());
}

}  // namespace natgrad
