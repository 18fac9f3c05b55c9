import resource

def eatmemory(i):
  x=[0]*100000
  print('Memory usage after  x created in eatmemory: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
  if i==0:
     return
  else:
     return eatmemory(i-1)

print('Memory usage initially: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
eatmemory(5)
print('Memory usage finally: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
