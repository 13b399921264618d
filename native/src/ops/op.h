// The face of every op. `planForward` and `planBackward` are called once, in execution order, then `bind` once the
// arena has its address (again if it moves), then `forward` and `backward` any number of times without allocating.
#pragma once
#include <string>

#include "memory_plan.h"

namespace residual {

enum class Mode { Training, Evaluation };

class Op {
 public:
  explicit Op(std::string name) : name(std::move(name)) {}
  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  /// The node's, for messages and profiles.
  const std::string name;

  /// How many summands of its output's gradient `planBackward` can take; more are added up before.
  virtual int gradientSummands() const { return 1; }
  virtual void planForward(MemoryPlan& plan) = 0;
  virtual void planBackward(MemoryPlan& plan) = 0;
  virtual void bind() {}
  virtual void forward() = 0;
  virtual void backward() = 0;
};

}  // namespace residual
