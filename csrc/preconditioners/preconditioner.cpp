#include <natgrad/preconditioners/preconditioner.h>

#include <cmath>

namespace natgrad {

void Preconditioner::set_state(const std::vector<torch::Tensor>& state) {
  TORCH_CHECK(state.empty(), "natgrad: ", describe(),
              " has no state, but was given that of another preconditioner.");
}

void check_lambda(const Preconditioner& preconditioner, double lambda) {
  TORCH_CHECK(lambda > 0 && std::isfinite(lambda), "natgrad: ", preconditioner.describe(),
              " is positive definite only with a damping lambda > 0, but it is ", lambda,
              ". Use a damping that adds one, as Tikhonov(1e-3), or no preconditioner.");
}

}  // namespace natgrad
