#include <fmt/format.h>
#include <natgrad/damping/proximal.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad {

// How much larger λ is after a step that had to be taken back.
constexpr double kRejectionFactor = 10;

void Proximal::observe_noise(double noise) {
  if (!std::isfinite(noise) && noise_) return;  // one bad batch must not end the damping
  noise_ = noise_ ? noise_decay_ * *noise_ + (1 - noise_decay_) * noise : noise;
  largest_noise_ = std::max(largest_noise_, noise);
}

double Proximal::lambda() const {
  if (fixed_lambda_) return *fixed_lambda_;
  TORCH_CHECK(noise_.has_value(),
              "natgrad: Proximal has no λ before observe_noise was called once.");
  return std::max(*noise_, noise_floor_ * largest_noise_);
}

double Proximal::growth() const {
  return momentum_ > 0 ? 1 + static_cast<double>(steps_) / memory_doubling_ : 1;
}

double Proximal::centre() const { return 1 - (1 - momentum_) / growth(); }

double Proximal::rate() const { return 1 / std::sqrt(growth()); }

void Proximal::rejected() {
  if (noise_) *noise_ = kRejectionFactor * std::min(lambda(), largest_noise_);
}

std::vector<double> Proximal::state() const {
  const auto steps = static_cast<double>(steps_);
  return noise_ ? std::vector<double>{steps, *noise_, largest_noise_} : std::vector<double>{steps};
}

void Proximal::set_state(const std::vector<double>& state) {
  TORCH_CHECK(state.size() == 1 || state.size() == 3,
              "natgrad: Proximal's state has 1 number, or 3 once noise was measured, but got ",
              state.size(), ".");
  TORCH_CHECK(std::all_of(state.begin(), state.end(),
                          [](double number) { return number >= 0 && std::isfinite(number); }),
              "natgrad: Proximal's state is a number of steps and two noises, finite and >= 0, but "
              "got ",
              c10::ArrayRef<double>(state), ".");
  const bool measured = state.size() == 3;
  steps_ = static_cast<int64_t>(state[0]);
  noise_ = measured ? std::optional(state[1]) : std::nullopt;
  largest_noise_ = measured ? state[2] : 0;
}

std::string Proximal::describe() const {
  return fmt::format(
      "Proximal(momentum={}, memory_doubling={}, noise_decay={}, noise_floor={}, fixed_lambda={})",
      momentum_, memory_doubling_, noise_decay_, noise_floor_,
      fixed_lambda_ ? fmt::format("{}", *fixed_lambda_) : "none");
}

std::unique_ptr<Damping> Proximal::clone() const {
  TORCH_CHECK(momentum_ >= 0 && momentum_ < 1,
              "natgrad: Proximal's momentum lies in [0, 1), but is ", momentum_, ".");
  TORCH_CHECK(memory_doubling_ > 0,
              "natgrad: Proximal's memory_doubling is a number of steps > 0 (infinity for a memory "
              "that does not grow), but is ",
              memory_doubling_, ".");
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
