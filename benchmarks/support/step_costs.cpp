#include "support/step_costs.h"

#include "support/medians.h"
#include "support/memory_meter.h"

namespace benchmarks {

std::vector<double> step_milliseconds(const Start& start, const std::vector<Method>& methods,
                                      const Rounds& rounds) {
  std::vector<Training> trainings;
  for (const auto& method : methods) trainings.emplace_back(start, method);
  for (auto& training : trainings) {
    for (int64_t k = 0; k < rounds.warm_up; ++k) training.step();
  }
  std::vector<std::vector<double>> times(methods.size());
  for (int64_t round = 0; round < rounds.count; ++round) {
    for (size_t m = 0; m < methods.size(); ++m) {
      const double before = trainings[m].seconds();
      for (int64_t k = 0; k < rounds.steps; ++k) trainings[m].step();
      const double seconds = trainings[m].seconds() - before;
      times[m].push_back(1e3 * seconds / static_cast<double>(rounds.steps));
    }
  }
  std::vector<double> medians;
  for (auto& of_method : times) medians.push_back(median(std::move(of_method)));
  return medians;
}

Memory step_memory(const Start& start, const Method& method, int64_t warm_up) {
  MemoryMeter meter;
  torch::manual_seed(start.seed);
  auto model = start.task.make_model();
  const auto& train = start.data.train;
  const auto x = train.data.narrow(0, 0, start.batch_size).clone();
  const auto y = train.target.narrow(0, 0, start.batch_size).clone();
  const int64_t without_method = meter.bytes();

  const auto step = method(model->parameters());
  for (int64_t k = 0; k < warm_up; ++k) step(start.task.loss(model->forward(x), y));
  const int64_t with_method = meter.bytes();
  meter.forget_peak();
  step(start.task.loss(model->forward(x), y));
  return {static_cast<double>(meter.peak() - without_method),
          static_cast<double>(with_method - without_method)};
}

}  // namespace benchmarks
