#include <fmt/format.h>
#include <natgrad/damping/tikhonov.h>
#include <torch/torch.h>

#include <cmath>

namespace natgrad {

Tikhonov::Tikhonov(double lambda) : lambda_(lambda) {
  TORCH_CHECK(lambda >= 0 && std::isfinite(lambda),
              "natgrad: Tikhonov's lambda is a finite number >= 0, but is ", lambda, ".");
}

std::string Tikhonov::describe() const { return fmt::format("Tikhonov({})", lambda_); }

std::unique_ptr<Damping> Tikhonov::clone() const { return std::make_unique<Tikhonov>(*this); }

}  // namespace natgrad
