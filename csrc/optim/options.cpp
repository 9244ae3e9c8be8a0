#include <fmt/format.h>
#include <natgrad/optim/options.h>
#include <torch/torch.h>

#include <cmath>

namespace natgrad {

NaturalGradientOptions& NaturalGradientOptions::curvature(const Curvature& curvature) {
  curvature_ = curvature.clone();
  return *this;
}

NaturalGradientOptions& NaturalGradientOptions::solver(const Solver& solver) {
  solver_ = solver.clone();
  return *this;
}

NaturalGradientOptions& NaturalGradientOptions::damping(const Damping& damping) {
  damping_ = damping.clone();
  return *this;
}

void NaturalGradientOptions::check() const {
  TORCH_CHECK(lr_ >= 0 && std::isfinite(lr_), "natgrad: lr is a finite number >= 0, but is ", lr_,
              ".");
  TORCH_CHECK(weight_decay_ >= 0 && std::isfinite(weight_decay_),
              "natgrad: weight_decay is a finite number >= 0, but is ", weight_decay_, ".");
}

std::string NaturalGradientOptions::describe_system() const {
  return fmt::format("{}, {}, {}, seed={}, maximize={}, fill_grad={}", curvature_->describe(),
                     solver_->describe(), damping_->describe(), seed_, maximize_, fill_grad_);
}

bool NaturalGradientOptions::same_system(const NaturalGradientOptions& other) const {
  const bool same_objects = curvature_ == other.curvature_ && solver_ == other.solver_ &&
                            damping_ == other.damping_ && seed_ == other.seed_ &&
                            maximize_ == other.maximize_ && fill_grad_ == other.fill_grad_;
  return module_ == other.module_ && (same_objects || describe_system() == other.describe_system());
}

}  // namespace natgrad
