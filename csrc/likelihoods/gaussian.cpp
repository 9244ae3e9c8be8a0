#include <fmt/format.h>
#include <natgrad/likelihoods/gaussian.h>

namespace natgrad {

using torch::Tensor;

Gaussian::Gaussian(Tensor mean, double variance)
    : DiagonalGaussian(std::move(mean), variance), variance_(variance) {}

std::string Gaussian::describe() const { return fmt::format("Gaussian(variance={})", variance_); }

}  // namespace natgrad
