#include <fmt/format.h>
#include <natgrad/damping/proximal.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad {

// How much larger λ is after a step that had to be taken back.
constexpr double kRejectionFactor = 10;

void Proximal::observe_noise(double noise) {
  noise_ = noise_ ? noise_decay_ * *noise_ + (1 - noise_decay_) * noise : noise;
  largest_noise_ = std::max(largest_noise_, noise);
}

double Proximal::lambda() const {
  if (fixed_lambda_) return *fixed_lambda_;
  TORCH_CHECK(noise_.has_value(),
              "natgrad: Proximal has no λ before observe_noise was called once.");
  return std::max(*noise_, noise_floor_ * largest_noise_);
}

void Proximal::rejected() {
  if (noise_) *noise_ = kRejectionFactor * std::min(lambda(), largest_noise_);
}

std::vector<double> Proximal::state() const {
  return noise_ ? std::vector<double>{*noise_, largest_noise_} : std::vector<double>{};
}

void Proximal::set_state(const std::vector<double>& state) {
  TORCH_CHECK(state.empty() || state.size() == 2,
              "natgrad: Proximal's state has 2 numbers, but got ", state.size(), ".");
  noise_ = state.empty() ? std::nullopt : std::optional(state[0]);
  largest_noise_ = state.empty() ? 0 : state[1];
}

std::string Proximal::describe() const {
  return fmt::format("Proximal(momentum={}, noise_decay={}, noise_floor={}, fixed_lambda={})",
                     momentum_, noise_decay_, noise_floor_,
                     fixed_lambda_ ? fmt::format("{}", *fixed_lambda_) : "none");
}

std::unique_ptr<Damping> Proximal::clone() const {
  TORCH_CHECK(momentum_ >= 0 && momentum_ < 1,
              "natgrad: Proximal's momentum lies in [0, 1), but is ", momentum_, ".");
  TORCH_CHECK(noise_decay_ >= 0 && noise_decay_ < 1,
              "natgrad: Proximal's noise_decay lies in [0, 1), but is ", noise_decay_, ".");
  TORCH_CHECK(noise_floor_ >= 0 && noise_floor_ < 1,
              "natgrad: Proximal's noise_floor lies in [0, 1), but is ", noise_floor_, ".");
  TORCH_CHECK(!fixed_lambda_ || (*fixed_lambda_ >= 0 && std::isfinite(*fixed_lambda_)),
              "natgrad: Proximal's fixed_lambda is a finite number >= 0, but is ", *fixed_lambda_,
              ".");
  return std::make_unique<Proximal>(*this);
}

}  // namespace natgrad
