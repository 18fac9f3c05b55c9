from last_line import done

done()
